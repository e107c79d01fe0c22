/* MIG: the mode, the instances, and what their handles answer. */
#include "fake.h"

EXPORT int nvmlDeviceGetMigMode(device_t device, uint32_t *current, uint32_t *pending)
{
    ENTER_GPU(nvmlDeviceGetMigMode, device);
    REQUIRE(current);
    REQUIRE(pending);
    if (gpu->mig_maximum == 0)
        return NOT_SUPPORTED;
    *current = gpu->mig_mode;
    *pending = gpu->mig_pending;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMaxMigDeviceCount(device_t device, uint32_t *count)
{
    ENTER_GPU(nvmlDeviceGetMaxMigDeviceCount, device);
    REQUIRE(count);
    *count = gpu->mig_mode ? gpu->mig_maximum : 0; /* "zero if MIG is not supported or enabled" */
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(device_t device, uint32_t index, device_t *instance)
{
    ENTER_GPU(nvmlDeviceGetMigDeviceHandleByIndex, device);
    REQUIRE(instance);
    if (gpu->mig_maximum == 0)
        return NOT_SUPPORTED;
    if (index >= gpu->mig_maximum)
        return INVALID_ARGUMENT;
    if (!gpu->mig_mode || index >= gpu->instance_count)
        return NOT_FOUND;
    *instance = handle_of(call.control, call.slot, (int)index);
    return SUCCESS;
}

EXPORT int nvmlDeviceIsMigDeviceHandle(device_t device, uint32_t *is_instance)
{
    ENTER_DEVICE(nvmlDeviceIsMigDeviceHandle, device);
    REQUIRE(is_instance);
    *is_instance = call.mig >= 0;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device_t instance, device_t *device)
{
    ENTER_DEVICE(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, instance);
    REQUIRE(device);
    if (call.mig < 0)
        return INVALID_ARGUMENT;
    *device = handle_of(call.control, call.slot, -1);
    return SUCCESS;
}

#define INSTANCE_NUMBER(function, member)                   \
    EXPORT int function(device_t device, uint32_t *number)  \
    {                                                       \
        ENTER_DEVICE(function, device);                     \
        REQUIRE(number);                                    \
        if (call.mig < 0)                                   \
            return NOT_SUPPORTED;                           \
        *number = gpu->instances[call.mig].member;          \
        return SUCCESS;                                     \
    }

INSTANCE_NUMBER(nvmlDeviceGetGpuInstanceId, gpu_instance_id)
INSTANCE_NUMBER(nvmlDeviceGetComputeInstanceId, compute_instance_id)

struct attributes {
    uint32_t multiprocessors, copy_engines, decoders, encoders, jpeg_engines, ofa_engines, gpu_slices, compute_slices;
    uint64_t memory_mib;
};

static int attributes_of(const struct call *call, struct attributes *attributes)
{
    REQUIRE(attributes);
    if (call->mig < 0)
        return NOT_SUPPORTED;
    const struct instance *instance = &call->gpu->instances[call->mig];
    *attributes = (struct attributes){
        .multiprocessors = instance->multiprocessors,
        .copy_engines = instance->copy_engines,
        .gpu_slices = instance->gpu_slices,
        .compute_slices = instance->compute_slices,
        .memory_mib = instance->memory_total >> 20,
    };
    return SUCCESS;
}

EXPORT int nvmlDeviceGetAttributes(device_t device, struct attributes *attributes)
{
    ENTER_DEVICE(nvmlDeviceGetAttributes, device);
    return attributes_of(&call, attributes);
}

EXPORT int nvmlDeviceGetAttributes_v2(device_t device, struct attributes *attributes)
{
    ENTER_DEVICE(nvmlDeviceGetAttributes_v2, device);
    return attributes_of(&call, attributes);
}
