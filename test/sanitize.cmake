# Builds the compiler and its tools with the address and the undefined behaviour
# sanitizer, and runs a part of the text tests under them: what reads, checks and
# rewrites programs, the tools with their errors, some examples, and random
# programs. The libraries of LLVM are the installed ones, without sanitizers;
# headers of theirs that are compiled here check their assertions.

set(FOLDER ${SOURCE}/build-sanitize)
set(REPORTS ${FOLDER}/reports)
set(SUITES "Dialect/Attn/(IR|Transforms)/[^/]*$|Conversion/|tools/attn-compile/(errors|outputs)|tools/attn-(reduce|smith)/|tools/attn-run/(errors|cache|files)|Errors/malformed-(data|segments)")
set(EXAMPLES "(alibi|causal-gqa|nested-attention-tree|quest-pages)[.]mlir")

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${SOURCE}
                  RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(FAILED TRUE PARENT_SCOPE)
    message(SEND_ERROR "${ARGN}: ${code}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --preset sanitize)
run(${CMAKE_COMMAND} --build ${FOLDER} --parallel 2 --target
    attn-opt attn-run attn-compile attn-smith attn-reduce)
if(FAILED)
  return()
endif()

# LLVM marks the unused parts of its arenas where its headers are compiled with
# a sanitizer, but not in its libraries, so these marks mean nothing. What a
# sanitizer says goes to files: a process that is meant to fail may hide it.
file(REMOVE_RECURSE ${REPORTS})
file(MAKE_DIRECTORY ${REPORTS})
set(ENV{ASAN_OPTIONS} "allow_user_poisoning=0:detect_odr_violation=0:\
handle_abort=1:abort_on_error=1:log_path=${REPORTS}/report")
run(${LIT} -v "--filter= :: (${SUITES})" ${FOLDER}/test)
run(${LIT} -v "--filter= :: ${EXAMPLES}" ${FOLDER}/examples)
run(${FOLDER}/bin/attn-smith --run=24 --seed=1 --sizes=tiny)

file(GLOB reports ${REPORTS}/*)
foreach(report ${reports})
  file(READ ${report} text LIMIT 6000)
  message(SEND_ERROR "${text}")
endforeach()
