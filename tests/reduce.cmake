# SPDX-License-Identifier: MIT
pare_test(test_recipe MODULES core model encode select reduce SOURCES test_recipe.c)
pare_test(test_reduce MODULES core model encode select reduce measure view write api SOURCES test_reduce.c)
set_tests_properties(test_reduce PROPERTIES TIMEOUT 900)
pare_fuzz(fuzz_recipe MODULES core model encode select reduce SOURCES fuzz/fuzz_recipe.c CORPUS fuzz/corpus/recipe)
pare_test(test_places MODULES core model encode select reduce measure view write api
          SOURCES test_places.c test_places_reducer.c marker.c tiny_model.c)
pare_test(test_properties MODULES core model encode select reduce measure view write api
          SOURCES test_properties.c test_properties_reducer.c select_table.c select_scene.c tiny_model.c)
pare_test(test_reduce_edges MODULES core model encode select reduce measure view write api
          SOURCES test_reduce_edges.c tiny_model.c)
pare_test(test_capture MODULES core model encode select reduce measure view write api
          SOURCES test_capture.c tiny_model.c)
set_tests_properties(test_capture PROPERTIES TIMEOUT 900)
pare_test(test_reset MODULES core model encode select reduce measure view write api SOURCES test_reset.c tiny_model.c)
pare_test(test_reuse MODULES core model encode select reduce measure view write api SOURCES test_reuse.c tiny_model.c)
pare_test(test_plan MODULES core model encode select reduce measure view write api SOURCES test_plan.c tiny_model.c)
pare_test(test_trade MODULES core model encode select reduce measure view write api SOURCES test_trade.c tiny_model.c)
pare_test(test_dry MODULES core model encode select reduce measure view write api SOURCES test_dry.c tiny_model.c)
set_tests_properties(test_dry PROPERTIES TIMEOUT 900)
pare_test(test_still MODULES core model encode select reduce measure view write api SOURCES test_still.c tiny_model.c)
pare_test(test_cost MODULES core model encode select reduce measure view write api SOURCES test_cost.c)
pare_test(test_pixels_in MODULES core model encode select reduce measure view write api
          SOURCES test_pixels_in.c tiny_model.c)
pare_test(test_live MODULES core model encode select reduce measure view write api SOURCES test_live.c tiny_model.c)
pare_test(test_canvas MODULES core model encode select reduce measure view write api SOURCES test_canvas.c)
pare_test(test_no_malloc MODULES core model encode select reduce measure view write api
          SOURCES test_no_malloc.c tiny_model.c)
pare_test(test_clip_pool MODULES core model encode select reduce SOURCES test_clip_pool.c)
foreach(t test_families test_duplicates test_tile_rule)
  pare_test(${t} MODULES core model encode select reduce measure view write api SOURCES ${t}.c family_cases.c)
endforeach()
set_tests_properties(test_families PROPERTIES TIMEOUT 900)
pare_test(test_rlt_videomae MODULES core model encode select reduce measure view write api SOURCES test_rlt_videomae.c)
if(PARE_FFMPEG)
  pare_test(test_pulse MODULES core model encode select reduce media SOURCES test_pulse.c)
  target_link_libraries(test_pulse PRIVATE PkgConfig::LIBAV)
  set_tests_properties(test_pulse PROPERTIES TIMEOUT 300)
endif()
pare_test(test_stream_rate MODULES core model encode select reduce measure view write api
          SOURCES test_stream_rate.c tiny_model.c)
set_tests_properties(test_stream_rate PROPERTIES TIMEOUT 900)
pare_test(test_stream_budget MODULES core model encode select reduce measure view write api
          SOURCES test_stream_budget.c tiny_model.c)
