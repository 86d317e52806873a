# What `make install` and the Debian package put where. The unit and the settings' examples are part
# of the package alone: a system has one of them.
include(GNUInstallDirs)

# The daemon looks for the other two beside itself.
install(TARGETS provisioner provisioner-guard provisioner-runner RUNTIME)
install(FILES docs/man/provisioner.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
# The names of the file-based version.
foreach(name workspacectl jobctl templatectl)
  file(CREATE_LINK provisioner ${CMAKE_BINARY_DIR}/${name} SYMBOLIC)
  install(FILES ${CMAKE_BINARY_DIR}/${name} DESTINATION ${CMAKE_INSTALL_BINDIR})
endforeach()

foreach(completion "bash share/bash-completion/completions/provisioner"
        "zsh share/zsh/vendor-completions/_provisioner"
        "fish share/fish/vendor_completions.d/provisioner.fish")
  separate_arguments(completion)
  list(GET completion 0 shell)
  list(GET completion 1 file)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/${file}
                     COMMAND provisioner completion ${shell} > ${CMAKE_BINARY_DIR}/${file}
                     DEPENDS provisioner)
  list(APPEND completions ${CMAKE_BINARY_DIR}/${file})
  get_filename_component(folder ${file} DIRECTORY)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${folder})
  install(FILES ${CMAKE_BINARY_DIR}/${file} DESTINATION ${folder})
endforeach()
add_custom_target(completions ALL DEPENDS ${completions})

set(package_only COMPONENT package EXCLUDE_FROM_ALL)
set(CMAKE_INSTALL_FULL_BINDIR /usr/bin)
configure_file(deploy/systemd/provisioner.service.in provisioner.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/provisioner.service DESTINATION lib/systemd/system
        ${package_only})
install(FILES deploy/debian/provisioner.toml deploy/debian/environment
        DESTINATION /etc/provisioner ${package_only})
install(DIRECTORY DESTINATION /etc/provisioner/workspaces ${package_only})
install(FILES README.md CHANGELOG.md DESTINATION share/doc/provisioner ${package_only})
install(FILES LICENSE DESTINATION share/doc/provisioner RENAME copyright ${package_only})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME provisioner)
set(CPACK_PACKAGE_CONTACT "The founders of Provisioner <maintainers@provisioner.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "highly available scheduler for OpenTofu workspaces")
set(CPACK_PACKAGE_DESCRIPTION
    "Deploys and destroys OpenTofu and Terraform workspaces on cron schedules, alone on an embedded
 store or as several instances on PostgreSQL with an elected leader.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)  # what is in the package alone, too, but in one package
set(CPACK_COMPONENTS_ALL Unspecified package)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates, tzdata")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "git, openssh-client")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/deploy/debian/conffiles ${CMAKE_SOURCE_DIR}/deploy/debian/postinst
    ${CMAKE_SOURCE_DIR}/deploy/debian/prerm ${CMAKE_SOURCE_DIR}/deploy/debian/postrm)
include(CPack)
