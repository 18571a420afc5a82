/* SPDX-License-Identifier: MIT */
/* Scalar half-precision conversions, exact. */
#ifndef PARE_CORE_HALF_H
#define PARE_CORE_HALF_H

#include <stdint.h>

float pare__f16(uint16_t bits);
float pare__bf16(uint16_t bits);

#endif
