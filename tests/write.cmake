# SPDX-License-Identifier: MIT
pare_test(test_write MODULES core model write SOURCES test_write.c write_util.c)
pare_test(test_write_failures MODULES core model write SOURCES test_write_failures.c write_util.c)
pare_test(test_write_extras MODULES core model write SOURCES test_write_extras.c write_util.c)
