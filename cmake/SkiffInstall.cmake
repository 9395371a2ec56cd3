# Install rules: headers, both libraries, the command, find_package(skiff) and pkg-config.
include(CMakePackageConfigHelpers)
install(DIRECTORY include/skiff DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS skiff_shared skiff_static EXPORT skiff_targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT skiff_targets NAMESPACE skiff:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/skiff)
if(TARGET skiff_command)
  install(TARGETS skiff_command DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
file(WRITE ${CMAKE_BINARY_DIR}/skiff-config.cmake
     "include(CMakeFindDependencyMacro)\nfind_dependency(Threads)\ninclude(\${CMAKE_CURRENT_LIST_DIR}/skiff_targets.cmake)\n")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/skiff-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/skiff-config.cmake ${CMAKE_BINARY_DIR}/skiff-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/skiff)
set(part_flags "")
foreach(l ${SKIFF_PART_LIBRARIES})
  get_filename_component(n ${l} NAME_WE)
  string(REGEX REPLACE "^lib" "-l" n ${n})
  string(APPEND part_flags " ${n}")
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/skiff.pc
"prefix=${CMAKE_INSTALL_PREFIX}
libdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}

Name: skiff
Description: ${PROJECT_DESCRIPTION}
Version: ${PROJECT_VERSION}
Libs: -L\${libdir} -lskiff
Libs.private: -lstdc++ -lpthread ${part_flags}
Cflags: -I\${includedir}
")
install(FILES ${CMAKE_BINARY_DIR}/skiff.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
