# Installs the runtime alone, builds examples/embed against it, compiles a
# program for it and runs it.
#
#   cmake -DBUILD=... -DSOURCE=... -DTOOLS=... -DC_COMPILER=... -P embed.cmake
set(work ${BUILD}/test/embed)
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

function(expect text)
  string(FIND "${output}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "'${text}' is not in the output")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix
    --component runtime)
run(${CMAKE_COMMAND} -S ${SOURCE}/examples/embed -B ${work}/build -G Ninja
    -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_C_COMPILER=${C_COMPILER}
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS=-std=c99 -Wall -Wextra -Werror")
run(${CMAKE_COMMAND} --build ${work}/build)
run(${TOOLS}/attn-compile ${SOURCE}/examples/causal-gqa.mlir
    -o ${work}/attention.so)
run(${work}/build/embed ${work}/attention.so)
expect("compiled by attn-mlir")
expect("refused: argument 'k' of 'attention' has extent 76 on axis 2 (L), but argument 'q' says L = 77")

# Neither the program nor what it loads needs anything of the compiler.
run(ldd ${work}/build/embed)
expect("libattn_runtime.so")
if(output MATCHES "LLVM|MLIR|libstdc")
  message(FATAL_ERROR "the runtime is not alone")
endif()

# A damaged copy is a sentence.
file(SIZE ${work}/attention.so size)
math(EXPR half "${size} / 2")
execute_process(COMMAND head -c ${half} ${work}/attention.so
                OUTPUT_FILE ${work}/half.so)
execute_process(COMMAND ${work}/build/embed ${work}/half.so
                RESULT_VARIABLE code ERROR_VARIABLE output)
message("${output}")
if(NOT code EQUAL 1)
  message(FATAL_ERROR "a truncated program is accepted: ${code}")
endif()
expect("is truncated, or no compiled program")
