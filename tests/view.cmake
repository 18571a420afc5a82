# SPDX-License-Identifier: MIT
pare_test(test_view MODULES core view SOURCES test_view.c)
