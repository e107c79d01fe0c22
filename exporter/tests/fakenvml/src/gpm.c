/* GPM (Hopper and later): two samples make a metric. A sample used by two threads at once is counted as a race. */
#include <math.h>
#include <stdlib.h>

#include "fake.h"

struct sample {
    int slot;
    int mig;
    int in_use;
    int filled;
    int64_t taken_ns;
};

struct support {
    uint32_t version, supported;
};

EXPORT int nvmlGpmQueryDeviceSupport(device_t device, struct support *support)
{
    ENTER_GPU(nvmlGpmQueryDeviceSupport, device);
    REQUIRE(support);
    if (support->version != 1)
        return ARGUMENT_VERSION_MISMATCH;
    support->supported = gpu->gpm_supported;
    return SUCCESS;
}

EXPORT int nvmlGpmSampleAlloc(struct sample **sample)
{
    ENTER(nvmlGpmSampleAlloc, -1);
    REQUIRE(sample);
    *sample = calloc(1, sizeof **sample);
    if (*sample == NULL)
        return MEMORY;
    __atomic_add_fetch(&call.control->gpm_samples, 1, __ATOMIC_SEQ_CST);
    return SUCCESS;
}

EXPORT int nvmlGpmSampleFree(struct sample *sample)
{
    ENTER(nvmlGpmSampleFree, -1);
    REQUIRE(sample);
    free(sample);
    __atomic_sub_fetch(&call.control->gpm_samples, 1, __ATOMIC_SEQ_CST);
    return SUCCESS;
}

static int take(const struct call *call, int mig, struct sample *sample)
{
    REQUIRE(sample);
    if (!call->gpu->gpm_supported)
        return NOT_SUPPORTED;
    if (__atomic_exchange_n(&sample->in_use, 1, __ATOMIC_SEQ_CST))
        __atomic_add_fetch(&call->gpu->gpm_races, 1, __ATOMIC_SEQ_CST);
    sample->slot = call->slot;
    sample->mig = mig;
    sample->taken_ns = now_ns(call->control);
    sample->filled = 1;
    __atomic_store_n(&sample->in_use, 0, __ATOMIC_SEQ_CST);
    return SUCCESS;
}

EXPORT int nvmlGpmSampleGet(device_t device, struct sample *sample)
{
    ENTER_DEVICE(nvmlGpmSampleGet, device);
    return take(&call, call.mig, sample);
}

EXPORT int nvmlGpmMigSampleGet(device_t device, uint32_t gpu_instance_id, struct sample *sample)
{
    ENTER_GPU(nvmlGpmMigSampleGet, device);
    for (uint32_t i = 0; gpu->mig_mode && i < gpu->instance_count; i++)
        if (gpu->instances[i].gpu_instance_id == gpu_instance_id)
            return take(&call, (int)i, sample);
    return INVALID_ARGUMENT;
}

struct metric {
    uint32_t id;
    uint32_t code;
    double value;
    const char *short_name, *long_name, *unit;
};

struct metrics {
    uint32_t version, count;
    struct sample *first, *second;
    struct metric list[];
};

static void measure(const struct gpu *gpu, int mig, struct metric *metric)
{
    uint32_t known = mig < 0 ? FAKE_GPM_METRICS : FAKE_INSTANCE_GPM_METRICS;
    const double *values = mig < 0 ? gpu->gpm : gpu->instances[mig].gpm;
    metric->short_name = metric->long_name = metric->unit = "";
    metric->value = metric->id < known ? values[metric->id] : NAN;
    metric->code = isnan(metric->value) ? NOT_SUPPORTED : SUCCESS;
}

EXPORT int nvmlGpmMetricsGet(struct metrics *metrics)
{
    int usable = metrics != NULL && metrics->first != NULL && metrics->second != NULL && metrics->first->filled &&
                 metrics->second->filled && metrics->first->slot == metrics->second->slot &&
                 metrics->first->mig == metrics->second->mig &&
                 metrics->first->taken_ns < metrics->second->taken_ns;
    ENTER(nvmlGpmMetricsGet, usable ? metrics->first->slot : -1);
    REQUIRE(metrics);
    if (metrics->version != 1)
        return ARGUMENT_VERSION_MISMATCH;
    if (!usable)
        return INVALID_ARGUMENT;
    for (uint32_t i = 0; i < metrics->count; i++)
        measure(call.gpu, metrics->first->mig, &metrics->list[i]);
    return SUCCESS;
}
