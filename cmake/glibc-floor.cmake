# Note: [glibc floor]
# A shared library requires, for each glibc function, the version that the function had when the library was
# linked. So a library built on a new distribution does not load on an older one, even if all its functions
# exist there. Therefore the addon is linked against stand-ins for libc and libm. They are made here from the
# build machine's own libc and libm and have the same symbols. Each symbol has its newest version that is not
# above the floor. A symbol that exists only above the floor keeps its version and works as before, at least
# on the build machine. glibc-floor.cpp defines those of them that libstdc++ needs. scripts/check-binary.mjs
# checks the result.
#
# The floor is lib/requirements.json's, because Node's own binaries and libtorch's wheels need that. A lower floor would help
# nobody.

set(TOKENLEARNER_GLIBC_FLOOR "${TOKENLEARNER_OLDEST_GLIBC}" CACHE STRING "Oldest glibc that the addon is to load on; OFF links as the toolchain does")

# Sets <result> to the path of a library as the linker finds it. Empty if the linker does not find it.
function(tokenlearner_find_library_file name result)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${name} OUTPUT_VARIABLE file OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT IS_ABSOLUTE "${file}")
    set(file "")
  endif()
  set(${result} "${file}" PARENT_SCOPE)
endfunction()

# Sets <result> to lines "version name type": one for each symbol of a library, with the chosen version.
function(tokenlearner_choose_versions library result)
  execute_process(COMMAND ${CMAKE_READELF} -W --dyn-syms ${library} OUTPUT_VARIABLE table)
  string(REGEX MATCHALL "(FUNC|IFUNC|OBJECT) +(GLOBAL|WEAK) +DEFAULT +[0-9]+ [A-Za-z0-9_]+@+GLIBC_[0-9.]+" symbols "${table}")
  set(names "")
  foreach(symbol IN LISTS symbols)
    string(REGEX MATCH "^([A-Z]+) .* ([A-Za-z0-9_]+)@+GLIBC_([0-9.]+)$" matched "${symbol}")
    set(type ${CMAKE_MATCH_1})
    set(name ${CMAKE_MATCH_2})
    set(version ${CMAKE_MATCH_3})
    if(NOT DEFINED chosen_${name})
      list(APPEND names ${name})
      set(chosen_${name} ${version})
      set(type_${name} ${type})
    elseif(version VERSION_GREATER TOKENLEARNER_GLIBC_FLOOR)
      if(version VERSION_LESS chosen_${name})
        set(chosen_${name} ${version})
      endif()
    elseif(version VERSION_GREATER chosen_${name} OR chosen_${name} VERSION_GREATER TOKENLEARNER_GLIBC_FLOOR)
      set(chosen_${name} ${version})
    endif()
  endforeach()
  set(lines "")
  foreach(name IN LISTS names)
    list(APPEND lines "${chosen_${name}} ${name} ${type_${name}}")
  endforeach()
  list(SORT lines COMPARE NATURAL)
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

# Links an empty library with the name and the symbols of a given one.
function(tokenlearner_write_stand_in library soname folder)
  tokenlearner_choose_versions(${library} lines)
  set(assembly ".text\n")
  set(script "")
  set(last "")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^([0-9.]+) ([A-Za-z0-9_]+) ([A-Z]+)$" matched "${line}")
    set(name ${CMAKE_MATCH_2})
    if(NOT CMAKE_MATCH_1 STREQUAL last)
      if(last)
        string(APPEND script "};\n")
      endif()
      string(APPEND script "GLIBC_${CMAKE_MATCH_1} { global:\n")
      set(last ${CMAKE_MATCH_1})
    endif()
    string(APPEND script "  ${name};\n")
    if(CMAKE_MATCH_3 STREQUAL "OBJECT")
      string(APPEND assembly ".globl ${name}\n.type ${name},%object\n.size ${name},8\n${name}:\n")
    else()
      string(APPEND assembly ".globl ${name}\n.type ${name},%function\n${name}:\n")
    endif()
  endforeach()
  string(APPEND assembly ".skip 8\n.section .note.GNU-stack,\"\",%progbits\n")
  string(APPEND script "};\n")
  file(WRITE ${folder}/${soname}.s "${assembly}")
  file(WRITE ${folder}/${soname}.map "${script}")
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} -shared -nostdlib -x assembler ${soname}.s -Wl,-soname,${soname}
            -Wl,--version-script=${soname}.map -o ${soname}
    WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Makes the stand-ins, once per floor.
function(tokenlearner_write_stand_ins folder libc libm loader)
  if(EXISTS ${folder}/libc.so)
    return()
  endif()
  message(STATUS "tokenlearner: linking against the symbols of glibc ${TOKENLEARNER_GLIBC_FLOOR}")
  file(MAKE_DIRECTORY ${folder})
  tokenlearner_write_stand_in(${libm} libm.so.6 ${folder})
  tokenlearner_write_stand_in(${libc} libc.so.6 ${folder})
  file(CREATE_LINK libm.so.6 ${folder}/libm.so SYMBOLIC)
  tokenlearner_find_library_file(libc_nonshared.a nonshared)
  file(WRITE ${folder}/libc.so "GROUP ( \"${folder}/libc.so.6\" \"${nonshared}\" AS_NEEDED ( \"${loader}\" ) )\n")
endfunction()

# Makes a shared library require no newer glibc than the floor.
function(tokenlearner_apply_glibc_floor target)
  if(NOT TOKENLEARNER_GLIBC_FLOOR OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR NOT CMAKE_READELF)
    return()
  endif()
  tokenlearner_find_library_file(libc.so.6 libc)
  tokenlearner_find_library_file(libm.so.6 libm)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    tokenlearner_find_library_file(ld-linux-x86-64.so.2 loader)
  elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    tokenlearner_find_library_file(ld-linux-aarch64.so.1 loader)
  endif()
  if(NOT libc OR NOT libm OR NOT loader)
    message(STATUS "tokenlearner: no glibc was found, so its floor is not lowered")
    return()
  endif()
  set(folder "${CMAKE_BINARY_DIR}/glibc-${TOKENLEARNER_GLIBC_FLOOR}")
  tokenlearner_write_stand_ins(${folder} ${libc} ${libm} ${loader})
  target_sources(${target} PRIVATE glibc-floor.cpp)
  target_link_directories(${target} BEFORE PRIVATE ${folder})
endfunction()
