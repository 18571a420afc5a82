# SPDX-License-Identifier: MIT
# Module model: parsers, configuration, checkpoints.
pare_test(test_safetensors MODULES core model SOURCES test_safetensors.c)
pare_test(test_gguf MODULES core model SOURCES test_gguf.c)
pare_test(test_config MODULES core model SOURCES test_config.c)
pare_test(test_model MODULES core model SOURCES test_model.c)
pare_test(test_load MODULES core model SOURCES test_load.c)
pare_test(test_qwen_model MODULES core model SOURCES test_qwen_model.c)
pare_fuzz(fuzz_safetensors MODULES core model SOURCES fuzz/fuzz_safetensors.c CORPUS fuzz/corpus/safetensors)
pare_fuzz(fuzz_gguf MODULES core model SOURCES fuzz/fuzz_gguf.c CORPUS fuzz/corpus/gguf)
pare_fuzz(fuzz_config MODULES core model SOURCES fuzz/fuzz_config.c CORPUS fuzz/corpus/config)
