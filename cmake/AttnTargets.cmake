# attn_add_library(NAME sources...): a static library of the compiler with the
# shared precompiled header. Libraries of the project never link static MLIR
# archives: two copies of a TypeID in one process are two different types.
function(attn_add_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK_LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_dependencies(${name} AttnGenerated)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK_LIBS} MLIR LLVM)
  attn_compile_options(${name})
endfunction()

# attn_add_tool(NAME sources...): an executable in build/bin.
function(attn_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} MLIR LLVM)
  attn_compile_options(${name})
endfunction()

function(attn_compile_options name)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Werror
    -Wno-unused-parameter)
  target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  if(NOT LLVM_ENABLE_EH)
    target_compile_options(${name} PRIVATE -fno-exceptions)
  endif()
  # Executables are compiled without the header: it is position-independent
  # code for libraries, and tools are one small main each.
  get_target_property(type ${name} TYPE)
  if(NOT name STREQUAL AttnPCH AND NOT type STREQUAL EXECUTABLE)
    target_precompile_headers(${name} REUSE_FROM AttnPCH)
  endif()
endfunction()
