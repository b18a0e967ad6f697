# Installs compiler and runtime, builds examples/embed-compiler against them, and
# runs it twice: the second time, the program comes from the cache.
#
#   cmake -DBUILD=... -DSOURCE=... -DC_COMPILER=... -DCXX_COMPILER=... -P embed.cmake
set(work ${BUILD}/test/embed-compiler)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output
                  ERROR_VARIABLE output COMMAND_ECHO STDOUT)
  message("${output}")
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "exit code ${code}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

foreach(component compiler runtime)
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix
      --component ${component})
endforeach()
run(${CMAKE_COMMAND} -S ${SOURCE}/examples/embed-compiler -B ${work}/build
    -G Ninja -DCMAKE_PREFIX_PATH=${work}/prefix
    -DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_CXX_COMPILER=${CXX_COMPILER}
    "-DCMAKE_CXX_FLAGS=-Wall -Wextra")
run(${CMAKE_COMMAND} --build ${work}/build)
set(ENV{ATTN_CACHE_DIR} ${work}/cache)
foreach(how compiled found)
  run(${work}/build/embed-compiler ${SOURCE}/examples/causal-gqa.mlir)
  if(NOT output STREQUAL "${how}: means 0 0.5 1 1.5 2\n")
    message(FATAL_ERROR "not as expected")
  endif()
endforeach()
