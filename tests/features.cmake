# SPDX-License-Identifier: MIT
pare_test(test_features MODULES core model encode select reduce measure view write api SOURCES test_features.c)
