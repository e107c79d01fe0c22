/* Entering and leaving a call: counts, faults, handles. Constant time, whatever is configured. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "fake.h"

#define FAULT_HANG 1u
#define FAULT_SEGV 2u
#define POLL_US 2000

int initialised(void);

static int local_in_flight;

int calls_in_flight(void)
{
    return __atomic_load_n(&local_in_flight, __ATOMIC_SEQ_CST);
}

void sleep_us(uint64_t microseconds)
{
    struct timespec pause = {(time_t)(microseconds / 1000000), (long)(microseconds % 1000000) * 1000};
    while (nanosleep(&pause, &pause) != 0)
        ;
}

static void leak(uint64_t bytes)
{
    static void *volatile lost;
    void *block = malloc(bytes);
    if (block != NULL)
        memset(block, 0x5a, bytes); /* resident, so that it shows in the RSS */
    lost = block;
    (void)lost;
}

static void crash(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static int apply(struct fault *fault)
{
    uint32_t flags = __atomic_load_n(&fault->flags, __ATOMIC_ACQUIRE);
    int32_t code = fault->code;
    if (flags == 0 && code == 0 && fault->delay_us == 0 && fault->leak_bytes == 0)
        return SUCCESS;
    if (fault->leak_bytes)
        leak(fault->leak_bytes);
    if (fault->delay_us)
        sleep_us(fault->delay_us);
    if (flags & FAULT_SEGV)
        crash();
    if (flags & FAULT_HANG) {
        __atomic_add_fetch(&fault->hanging, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&fault->flags, __ATOMIC_ACQUIRE) & FAULT_HANG)
            sleep_us(POLL_US);
        __atomic_sub_fetch(&fault->hanging, 1, __ATOMIC_SEQ_CST);
    }
    if (fault->remaining && __atomic_sub_fetch(&fault->remaining, 1, __ATOMIC_SEQ_CST) == 0) {
        fault->code = 0;
        fault->delay_us = 0;
        fault->leak_bytes = 0;
        __atomic_store_n(&fault->flags, 0, __ATOMIC_RELEASE);
    }
    return code;
}

static int needs_init(enum function function)
{
    return function > F_nvmlInitWithFlags && function != F_nvmlErrorString;
}

void call_enter(struct call *call, enum function function, int slot, int mig)
{
    __atomic_add_fetch(&local_in_flight, 1, __ATOMIC_SEQ_CST);
    struct control *control = __atomic_load_n(&fake, __ATOMIC_ACQUIRE);
    int row = slot + 1;
    *call = (struct call){.slot = slot, .mig = mig, .control = control};
    if (control == NULL) {
        call->code = UNINITIALIZED;
        return;
    }
    __atomic_add_fetch(&control->calls[row * FAKE_FUNCTIONS + (int)function], 1, __ATOMIC_RELAXED);
    uint32_t inside = __atomic_add_fetch(&control->in_flight[row], 1, __ATOMIC_SEQ_CST);
    uint32_t peak = __atomic_load_n(&control->in_flight_peak[row], __ATOMIC_RELAXED);
    while (inside > peak && !__atomic_compare_exchange_n(&control->in_flight_peak[row], &peak, inside, 0,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    if (needs_init(function) && !initialised()) {
        call->code = UNINITIALIZED;
        return;
    }
    call->code = apply(&control->faults[function]);
    if (call->code == SUCCESS && row > 0)
        call->code = apply(&control->faults[row * FAKE_FUNCTIONS + (int)function]);
    if (slot >= 0) {
        call->gpu = &control->gpus[slot];
        if (call->code == SUCCESS && !call->gpu->present)
            call->code = (int)call->gpu->absent_code;
    }
}

void call_leave(struct call *call)
{
    if (call->control != NULL)
        __atomic_sub_fetch(&call->control->in_flight[call->slot + 1], 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&local_in_flight, 1, __ATOMIC_SEQ_CST);
}

/* A handle is a number: it outlives the GPU it names, as a stale pointer would, without the crash. */
#define HANDLE_TAG 0xfa4eull

device_t handle_of(const struct control *control, int slot, int mig)
{
    uint64_t generation = mig < 0 ? 0 : control->gpus[slot].mig_generation & 0xffff;
    return (device_t)(uintptr_t)(HANDLE_TAG << 32 | generation << 16 | (uint64_t)slot << 8 | (uint64_t)(mig + 1));
}

static int decode(device_t handle, int *slot, int *mig)
{
    uint64_t number = (uint64_t)(uintptr_t)handle;
    const struct control *control = __atomic_load_n(&fake, __ATOMIC_ACQUIRE);
    *slot = (int)(number >> 8 & 0xff);
    *mig = (int)(number & 0xff) - 1;
    if (number >> 32 != HANDLE_TAG || *slot >= FAKE_GPUS || control == NULL)
        return INVALID_ARGUMENT;
    const struct gpu *gpu = &control->gpus[*slot];
    if (*mig >= 0 && (gpu->mig_mode == 0 || *mig >= (int)gpu->instance_count ||
                      (number >> 16 & 0xffff) != (gpu->mig_generation & 0xffff)))
        return INVALID_ARGUMENT;
    return SUCCESS;
}

void call_enter_device(struct call *call, enum function function, device_t handle, int whole_gpu_only)
{
    int slot, mig;
    int code = decode(handle, &slot, &mig);
    if (code != SUCCESS) {
        call_enter(call, function, -1, -1);
        if (call->code == SUCCESS)
            call->code = code;
        return;
    }
    call_enter(call, function, slot, mig);
    if (call->code == SUCCESS && whole_gpu_only && mig >= 0)
        call->code = NOT_SUPPORTED;
}

uint32_t read_begin(const struct gpu *gpu)
{
    uint32_t sequence = 0;
    for (int attempt = 0; attempt < 1000; attempt++) {
        sequence = __atomic_load_n(&gpu->sequence, __ATOMIC_ACQUIRE);
        if ((sequence & 1) == 0)
            break;
        sleep_us(10);
    }
    return sequence;
}

int read_again(const struct gpu *gpu, uint32_t sequence, int *attempt)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&gpu->sequence, __ATOMIC_RELAXED) != sequence && ++*attempt < 100;
}
