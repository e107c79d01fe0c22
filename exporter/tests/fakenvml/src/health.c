/* What wears out or breaks: ECC, retired pages, remapped rows, throttling time, the PCIe link. */
#include "fake.h"

EXPORT int nvmlDeviceGetTotalEccErrors(device_t device, uint32_t severity, uint32_t window, uint64_t *count)
{
    ENTER_GPU(nvmlDeviceGetTotalEccErrors, device);
    REQUIRE(count);
    if (severity > 1 || window > 1)
        return INVALID_ARGUMENT;
    if (!gpu->ecc_mode)
        return NOT_SUPPORTED;
    *count = gpu->ecc_total[severity * 2 + window];
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryErrorCounter(device_t device, uint32_t severity, uint32_t window, uint32_t location,
                                           uint64_t *count)
{
    ENTER_GPU(nvmlDeviceGetMemoryErrorCounter, device);
    REQUIRE(count);
    if (severity > 1 || window > 1 || location > 7)
        return INVALID_ARGUMENT;
    if (!gpu->ecc_mode)
        return NOT_SUPPORTED;
    *count = gpu->ecc_location[(severity * 2 + window) * 8 + location];
    return SUCCESS;
}

static int retired(const struct gpu *gpu, uint32_t cause, uint32_t *count, uint64_t *addresses, uint64_t *times)
{
    REQUIRE(count);
    if (cause > 1)
        return INVALID_ARGUMENT;
    uint32_t pages = gpu->retired_count[cause] < FAKE_PAGES ? gpu->retired_count[cause] : FAKE_PAGES;
    uint32_t room = *count;
    *count = pages;
    if (addresses == NULL || room < pages)
        return pages == 0 ? SUCCESS : INSUFFICIENT_SIZE;
    for (uint32_t page = 0; page < pages; page++) {
        addresses[page] = gpu->retired_pages[cause * FAKE_PAGES + page];
        if (times != NULL)
            times[page] = 0;
    }
    return SUCCESS;
}

EXPORT int nvmlDeviceGetRetiredPages(device_t device, uint32_t cause, uint32_t *count, uint64_t *addresses)
{
    ENTER_GPU(nvmlDeviceGetRetiredPages, device);
    return retired(gpu, cause, count, addresses, NULL);
}

EXPORT int nvmlDeviceGetRetiredPages_v2(device_t device, uint32_t cause, uint32_t *count, uint64_t *addresses,
                                        uint64_t *times)
{
    ENTER_GPU(nvmlDeviceGetRetiredPages_v2, device);
    return retired(gpu, cause, count, addresses, times);
}

EXPORT int nvmlDeviceGetRetiredPagesPendingStatus(device_t device, uint32_t *pending)
{
    ENTER_GPU(nvmlDeviceGetRetiredPagesPendingStatus, device);
    REQUIRE(pending);
    *pending = gpu->retired_pending;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetRemappedRows(device_t device, uint32_t *corrected, uint32_t *uncorrected, uint32_t *pending,
                                     uint32_t *failed)
{
    ENTER_GPU(nvmlDeviceGetRemappedRows, device);
    REQUIRE(corrected);
    REQUIRE(uncorrected);
    REQUIRE(pending);
    REQUIRE(failed);
    *corrected = gpu->remapped[0];
    *uncorrected = gpu->remapped[1];
    *pending = gpu->remapped[2];
    *failed = gpu->remapped[3];
    return SUCCESS;
}

EXPORT int nvmlDeviceGetRowRemapperHistogram(device_t device, uint32_t histogram[5])
{
    ENTER_GPU(nvmlDeviceGetRowRemapperHistogram, device);
    REQUIRE(histogram);
    memcpy(histogram, gpu->remap_histogram, sizeof gpu->remap_histogram);
    return SUCCESS;
}

struct violation {
    uint64_t reference_us, violated_ns;
};

EXPORT int nvmlDeviceGetViolationStatus(device_t device, uint32_t policy, struct violation *violation)
{
    ENTER_GPU(nvmlDeviceGetViolationStatus, device);
    REQUIRE(violation);
    if (policy > 11 || (policy > 5 && policy < 10))
        return INVALID_ARGUMENT;
    int64_t at_ns = now_ns(call.control);
    violation->reference_us = (uint64_t)wall_us(call.control, at_ns);
    violation->violated_ns = counter_at(&gpu->violation_ns[policy], at_ns);
    return SUCCESS;
}

#define NUMBER(function, member)                            \
    EXPORT int function(device_t device, uint32_t *number)  \
    {                                                       \
        ENTER_GPU(function, device);                        \
        REQUIRE(number);                                    \
        *number = gpu->member;                              \
        return SUCCESS;                                     \
    }

NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, pcie_generation)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, pcie_generation_max)
NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, pcie_generation_max)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, pcie_width)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, pcie_width_max)
NUMBER(nvmlDeviceGetPcieReplayCounter, pcie_replays)

/* What was set, else what the growing byte counter makes of it. */
static uint32_t throughput(uint32_t set, const struct counter *counter)
{
    return set ? set : (uint32_t)(counter->per_second / 1024);
}

/* The real one measures for 20 ms while the caller waits; so does this one. */
EXPORT int nvmlDeviceGetPcieThroughput(device_t device, uint32_t direction, uint32_t *kib_per_second)
{
    ENTER_GPU(nvmlDeviceGetPcieThroughput, device);
    REQUIRE(kib_per_second);
    if (direction > 1)
        return INVALID_ARGUMENT;
    sleep_us(gpu->pcie_sleep_us);
    *kib_per_second = direction == 0 ? throughput(gpu->pcie_transmit_kib_per_second, &gpu->pcie_transmit_bytes)
                                     : throughput(gpu->pcie_receive_kib_per_second, &gpu->pcie_receive_bytes);
    return SUCCESS;
}
