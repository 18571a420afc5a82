/* SPDX-License-Identifier: MIT */
/* One loop of multiply-adds on registers: twelve chains hide the latency of any CPU with two pipes. The file that includes
 * it defines before, and this undefines behind (but KEEP):
 *   LOOP_NAME   the function            LOOP_ISA   its instruction set, for the target attribute
 *   LOOP_TYPE   accumulators            LOOP_DATA  operands
 *   LOOP_SET    data of a float         LOOP_STEP  accumulator(accumulator, data, data)
 *   LOOP_SUM    accumulator(accumulator, accumulator)
 *   KEEP      the constraint of a register for such an accumulator: the compiler may not join turns of the loop
 * The result is stored so that nothing can be left out. */
__attribute__((target(LOOP_ISA))) static void LOOP_NAME(int64_t n, float seed, void *out)
{
    const LOOP_DATA a = LOOP_SET(seed), b = LOOP_SET(seed + 1);
    LOOP_TYPE c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11;
    memset(&c0, 0, sizeof c0);
    c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = c9 = c10 = c11 = c0;
    for (int64_t i = 0; i < n; i++) {
        c0 = LOOP_STEP(c0, a, b);
        c1 = LOOP_STEP(c1, a, b);
        c2 = LOOP_STEP(c2, a, b);
        c3 = LOOP_STEP(c3, a, b);
        c4 = LOOP_STEP(c4, a, b);
        c5 = LOOP_STEP(c5, a, b);
        c6 = LOOP_STEP(c6, a, b);
        c7 = LOOP_STEP(c7, a, b);
        c8 = LOOP_STEP(c8, a, b);
        c9 = LOOP_STEP(c9, a, b);
        c10 = LOOP_STEP(c10, a, b);
        c11 = LOOP_STEP(c11, a, b);
        __asm__("" : KEEP(c0), KEEP(c1), KEEP(c2), KEEP(c3), KEEP(c4), KEEP(c5));
        __asm__("" : KEEP(c6), KEEP(c7), KEEP(c8), KEEP(c9), KEEP(c10), KEEP(c11));
    }
    c0 = LOOP_SUM(LOOP_SUM(LOOP_SUM(c0, c1), LOOP_SUM(c2, c3)), LOOP_SUM(LOOP_SUM(c4, c5), LOOP_SUM(c6, c7)));
    c8 = LOOP_SUM(LOOP_SUM(c8, c9), LOOP_SUM(c10, c11));
    c0 = LOOP_SUM(c0, c8);
    memcpy(out, &c0, sizeof c0);
}

#undef LOOP_NAME
#undef LOOP_ISA
#undef LOOP_TYPE
#undef LOOP_DATA
#undef LOOP_SET
#undef LOOP_STEP
#undef LOOP_SUM
