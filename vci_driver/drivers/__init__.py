"""One file per kind of adapter; `vci_driver.registry` names them."""
