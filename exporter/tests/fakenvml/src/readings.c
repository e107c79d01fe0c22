/* What a GPU shows at this moment: utilisation, memory, clocks, limits, modes. */
#include "fake.h"

#define MEMORY_V2 0x02000028u
#define SAMPLING_PERIOD_US 167000

struct utilization {
    uint32_t gpu, memory;
};

EXPORT int nvmlDeviceGetUtilizationRates(device_t device, struct utilization *rates)
{
    ENTER_GPU(nvmlDeviceGetUtilizationRates, device);
    REQUIRE(rates);
    if (gpu->mig_mode) /* not defined while the board is sliced */
        return NOT_SUPPORTED;
    *rates = (struct utilization){gpu->gpu_percent, gpu->memory_percent};
    return SUCCESS;
}

#define ENGINE(function, member)                                                   \
    EXPORT int function(device_t device, uint32_t *percent, uint32_t *period_us)   \
    {                                                                              \
        ENTER_GPU(function, device);                                               \
        REQUIRE(percent);                                                          \
        REQUIRE(period_us);                                                        \
        if (gpu->mig_mode)                                                         \
            return NOT_SUPPORTED;                                                  \
        *percent = gpu->member;                                                    \
        *period_us = SAMPLING_PERIOD_US;                                                \
        return SUCCESS;                                                            \
    }

ENGINE(nvmlDeviceGetEncoderUtilization, encoder_percent)
ENGINE(nvmlDeviceGetDecoderUtilization, decoder_percent)
ENGINE(nvmlDeviceGetJpgUtilization, jpeg_percent)
ENGINE(nvmlDeviceGetOfaUtilization, ofa_percent)

EXPORT int nvmlDeviceGetEncoderStats(device_t device, uint32_t *sessions, uint32_t *fps, uint32_t *latency_us)
{
    ENTER_GPU(nvmlDeviceGetEncoderStats, device);
    REQUIRE(sessions);
    REQUIRE(fps);
    REQUIRE(latency_us);
    *sessions = gpu->encoder_sessions;
    *fps = gpu->encoder_fps;
    *latency_us = gpu->encoder_latency_us;
    return SUCCESS;
}

struct memory_v1 {
    uint64_t total, free, used;
};

struct memory_v2 {
    uint32_t version;
    uint64_t total, reserved, free, used;
};

static void read_memory(const struct gpu *gpu, int mig, struct memory_v2 *memory)
{
    uint32_t sequence;
    int attempt = 0;
    do {
        sequence = read_begin(gpu);
        if (mig < 0) {
            memory->total = gpu->memory_total;
            memory->reserved = gpu->memory_reserved;
            memory->free = gpu->memory_free;
            memory->used = gpu->memory_used;
        } else {
            const struct instance *instance = &gpu->instances[mig];
            memory->total = instance->memory_total;
            memory->reserved = instance->memory_reserved;
            memory->free = instance->memory_free;
            memory->used = instance->memory_used;
        }
    } while (read_again(gpu, sequence, &attempt));
}

/* The first version counts what the driver reserved as used. */
EXPORT int nvmlDeviceGetMemoryInfo(device_t device, struct memory_v1 *memory)
{
    struct memory_v2 read;
    ENTER_DEVICE(nvmlDeviceGetMemoryInfo, device);
    REQUIRE(memory);
    read_memory(gpu, call.mig, &read);
    memory->total = read.total;
    memory->free = read.free;
    memory->used = read.used == UINT64_MAX ? read.used : read.used + read.reserved;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryInfo_v2(device_t device, struct memory_v2 *memory)
{
    ENTER_DEVICE(nvmlDeviceGetMemoryInfo_v2, device);
    REQUIRE(memory);
    if (memory->version != MEMORY_V2)
        return ARGUMENT_VERSION_MISMATCH;
    read_memory(gpu, call.mig, memory);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetBAR1MemoryInfo(device_t device, struct memory_v1 *memory)
{
    ENTER_DEVICE(nvmlDeviceGetBAR1MemoryInfo, device);
    REQUIRE(memory);
    memory->total = gpu->bar1_total;
    memory->used = gpu->bar1_used;
    memory->free = gpu->bar1_total - gpu->bar1_used;
    return SUCCESS;
}

static int clock_of(const uint32_t *clocks, uint32_t which, uint32_t *mhz)
{
    REQUIRE(mhz);
    if (which >= 4)
        return INVALID_ARGUMENT;
    *mhz = clocks[which];
    return SUCCESS;
}

EXPORT int nvmlDeviceGetClockInfo(device_t device, uint32_t which, uint32_t *mhz)
{
    ENTER_GPU(nvmlDeviceGetClockInfo, device);
    return clock_of(gpu->clock_mhz, which, mhz);
}

EXPORT int nvmlDeviceGetMaxClockInfo(device_t device, uint32_t which, uint32_t *mhz)
{
    ENTER_GPU(nvmlDeviceGetMaxClockInfo, device);
    return clock_of(gpu->clock_max_mhz, which, mhz);
}

EXPORT int nvmlDeviceGetClock(device_t device, uint32_t which, uint32_t id, uint32_t *mhz)
{
    ENTER_GPU(nvmlDeviceGetClock, device);
    return clock_of(id == 0 ? gpu->clock_mhz : gpu->clock_max_mhz, which, mhz);
}

EXPORT int nvmlDeviceGetApplicationsClock(device_t device, uint32_t which, uint32_t *mhz)
{
    ENTER_GPU(nvmlDeviceGetApplicationsClock, device);
    return clock_of(gpu->clock_max_mhz, which, mhz);
}

#define NUMBER(function, type, member)                      \
    EXPORT int function(device_t device, type *number)      \
    {                                                       \
        ENTER_GPU(function, device);                        \
        REQUIRE(number);                                    \
        *number = gpu->member;                              \
        return SUCCESS;                                     \
    }

NUMBER(nvmlDeviceGetPerformanceState, uint32_t, performance_state)
NUMBER(nvmlDeviceGetPowerState, uint32_t, performance_state)
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, event_reasons)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, uint64_t, event_reasons)
NUMBER(nvmlDeviceGetSupportedClocksEventReasons, uint64_t, event_reasons_supported)
NUMBER(nvmlDeviceGetSupportedClocksThrottleReasons, uint64_t, event_reasons_supported)
NUMBER(nvmlDeviceGetPowerManagementLimit, uint32_t, power_limit_mw)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, uint32_t, power_limit_default_mw)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, uint32_t, power_limit_enforced_mw)
NUMBER(nvmlDeviceGetPersistenceMode, uint32_t, persistence_mode)
NUMBER(nvmlDeviceGetComputeMode, uint32_t, compute_mode)
NUMBER(nvmlDeviceGetDisplayActive, uint32_t, display_active)
NUMBER(nvmlDeviceGetDisplayMode, uint32_t, display_mode)
NUMBER(nvmlDeviceGetAccountingMode, uint32_t, accounting_mode)

EXPORT int nvmlDeviceGetPowerManagementMode(device_t device, uint32_t *mode)
{
    ENTER_GPU(nvmlDeviceGetPowerManagementMode, device);
    REQUIRE(mode);
    *mode = 1;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetPowerManagementLimitConstraints(device_t device, uint32_t *minimum, uint32_t *maximum)
{
    ENTER_GPU(nvmlDeviceGetPowerManagementLimitConstraints, device);
    REQUIRE(minimum);
    REQUIRE(maximum);
    *minimum = gpu->power_limit_min_mw;
    *maximum = gpu->power_limit_max_mw;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetEccMode(device_t device, uint32_t *current, uint32_t *pending)
{
    ENTER_GPU(nvmlDeviceGetEccMode, device);
    REQUIRE(current);
    REQUIRE(pending);
    *current = gpu->ecc_mode;
    *pending = gpu->ecc_pending;
    return SUCCESS;
}

/* WDDM and TCC exist on Windows alone. */
EXPORT int nvmlDeviceGetDriverModel(device_t device, uint32_t *current, uint32_t *pending)
{
    (void)current;
    (void)pending;
    ENTER_GPU(nvmlDeviceGetDriverModel, device);
    return NOT_SUPPORTED;
}

EXPORT int nvmlDeviceGetDriverModel_v2(device_t device, uint32_t *current, uint32_t *pending)
{
    (void)current;
    (void)pending;
    ENTER_GPU(nvmlDeviceGetDriverModel_v2, device);
    return NOT_SUPPORTED;
}
