# SPDX-License-Identifier: MIT
pare_test(test_write MODULES core model write SOURCES test_write.c)
