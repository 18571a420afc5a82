# SPDX-License-Identifier: MIT
pare_test(test_dense MODULES core model encode SOURCES test_dense.c)
pare_test(test_measure MODULES core measure SOURCES test_measure.c)
pare_test(test_measure_places MODULES core measure SOURCES test_measure_places.c)
pare_test(test_feature_kernels MODULES core model encode measure SOURCES test_feature_kernels.c)
pare_test(test_measure_features MODULES core measure SOURCES test_measure_features.c measure_toy.c)
pare_test(test_measure_api MODULES core model encode select reduce measure view write api
          SOURCES test_measure_api.c tiny_model.c)
