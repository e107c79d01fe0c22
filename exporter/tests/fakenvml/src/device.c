/* Which GPUs there are and what they are called. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "fake.h"

static int count_devices(const struct call *call, uint32_t *count)
{
    if (call->code != SUCCESS)
        return call->code;
    REQUIRE(count);
    *count = (uint32_t)gpu_count();
    return SUCCESS;
}

EXPORT int nvmlDeviceGetCount(uint32_t *count)
{
    ENTER(nvmlDeviceGetCount, -1);
    return count_devices(&call, count);
}

EXPORT int nvmlDeviceGetCount_v2(uint32_t *count)
{
    ENTER(nvmlDeviceGetCount_v2, -1);
    return count_devices(&call, count);
}

/* Look-ups are entered as a call on the GPU they find, so that its faults and counts apply. */
static int hand_out(enum function function, int slot, int mig, int missing, device_t *device)
{
    __attribute__((cleanup(call_leave))) struct call call;
    call_enter(&call, function, slot, mig);
    if (call.code != SUCCESS)
        return call.code;
    REQUIRE(device);
    if (slot < 0)
        return missing;
    *device = handle_of(call.control, slot, mig);
    return SUCCESS;
}

static int find_index(uint32_t index)
{
    return fake == NULL ? -1 : slot_of_index(index);
}

EXPORT int nvmlDeviceGetHandleByIndex(uint32_t index, device_t *device)
{
    return hand_out(F_nvmlDeviceGetHandleByIndex, find_index(index), -1, INVALID_ARGUMENT, device);
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(uint32_t index, device_t *device)
{
    return hand_out(F_nvmlDeviceGetHandleByIndex_v2, find_index(index), -1, INVALID_ARGUMENT, device);
}

static int find_text(const char *text, size_t offset, size_t room, int *mig)
{
    *mig = -1;
    if (fake == NULL || text == NULL)
        return -1;
    for (uint32_t slot = 0; slot < fake->gpu_slots; slot++) {
        const struct gpu *gpu = &fake->gpus[slot];
        if (!gpu->present)
            continue;
        if (strncmp((const char *)gpu + offset, text, room) == 0)
            return (int)slot;
        for (uint32_t i = 0; gpu->mig_mode && offset == offsetof(struct gpu, uuid) && i < gpu->instance_count; i++)
            if (strncmp(gpu->instances[i].uuid, text, room) == 0) {
                *mig = (int)i;
                return (int)slot;
            }
    }
    return -1;
}

EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, device_t *device)
{
    int mig, slot = find_text(uuid, offsetof(struct gpu, uuid), 96, &mig);
    return hand_out(F_nvmlDeviceGetHandleByUUID, slot, mig, uuid ? NOT_FOUND : INVALID_ARGUMENT, device);
}

EXPORT int nvmlDeviceGetHandleBySerial(const char *serial, device_t *device)
{
    int mig, slot = find_text(serial, offsetof(struct gpu, serial), 32, &mig);
    return hand_out(F_nvmlDeviceGetHandleBySerial, slot, mig, serial ? NOT_FOUND : INVALID_ARGUMENT, device);
}

static int parse_bus_id(const char *text, uint32_t parts[4])
{
    return text != NULL && sscanf(text, "%x:%x:%x.%x", &parts[0], &parts[1], &parts[2], &parts[3]) == 4;
}

static int find_bus_id(const char *text)
{
    uint32_t asked[4], have[4];
    if (fake == NULL || !parse_bus_id(text, asked))
        return -1;
    for (uint32_t slot = 0; slot < fake->gpu_slots; slot++)
        if (fake->gpus[slot].present && parse_bus_id(fake->gpus[slot].pci_bus_id, have) &&
            memcmp(asked, have, sizeof have) == 0)
            return (int)slot;
    return -1;
}

EXPORT int nvmlDeviceGetHandleByPciBusId(const char *bus_id, device_t *device)
{
    return hand_out(F_nvmlDeviceGetHandleByPciBusId, find_bus_id(bus_id), -1, NOT_FOUND, device);
}

EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, device_t *device)
{
    return hand_out(F_nvmlDeviceGetHandleByPciBusId_v2, find_bus_id(bus_id), -1, NOT_FOUND, device);
}

EXPORT int nvmlDeviceGetName(device_t device, char *name, uint32_t length)
{
    ENTER_DEVICE(nvmlDeviceGetName, device);
    const char *told = call.mig < 0 ? gpu->name : gpu->instances[call.mig].name;
    return copy_string(told, sizeof gpu->name, name, length);
}

EXPORT int nvmlDeviceGetUUID(device_t device, char *uuid, uint32_t length)
{
    ENTER_DEVICE(nvmlDeviceGetUUID, device);
    const char *told = call.mig < 0 ? gpu->uuid : gpu->instances[call.mig].uuid;
    return copy_string(told, sizeof gpu->uuid, uuid, length);
}

/* An empty string means that the board does not tell. */
#define TEXT(function, member)                                        \
    EXPORT int function(device_t device, char *text, uint32_t length) \
    {                                                                 \
        ENTER_GPU(function, device);                                  \
        if (gpu->member[0] == 0)                                      \
            return NOT_SUPPORTED;                                     \
        return copy_string(gpu->member, sizeof gpu->member, text, length); \
    }

TEXT(nvmlDeviceGetSerial, serial)
TEXT(nvmlDeviceGetVbiosVersion, vbios)
TEXT(nvmlDeviceGetBoardPartNumber, part_number)

EXPORT int nvmlDeviceGetGspFirmwareVersion(device_t device, char *version)
{
    ENTER_GPU(nvmlDeviceGetGspFirmwareVersion, device);
    if (gpu->gsp_version[0] == 0)
        return NOT_SUPPORTED;
    return copy_string(gpu->gsp_version, sizeof gpu->gsp_version, version, sizeof gpu->gsp_version);
}

struct pci_info {
    char bus_id_legacy[16];
    uint32_t domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

EXPORT int nvmlDeviceGetPciInfo_v3(device_t device, struct pci_info *info)
{
    uint32_t parts[4] = {0};
    ENTER_DEVICE(nvmlDeviceGetPciInfo_v3, device);
    REQUIRE(info);
    memset(info, 0, sizeof *info);
    parse_bus_id(gpu->pci_bus_id, parts);
    snprintf(info->bus_id_legacy, sizeof info->bus_id_legacy, "%04X:%02X:%02X.%X", parts[0] & 0xffff, parts[1] & 0xff,
             parts[2] & 0xff, parts[3] & 0xf);
    memcpy(info->bus_id, gpu->pci_bus_id, sizeof info->bus_id);
    info->domain = parts[0];
    info->bus = parts[1];
    info->device = parts[2];
    info->pci_device_id = gpu->pci_device_id;
    info->pci_subsystem_id = gpu->pci_subsystem_id;
    return SUCCESS;
}

/* 0xFFFFFFFF in one of these members means that the board does not tell. */
#define NUMBER(function, member)                            \
    EXPORT int function(device_t device, uint32_t *number)  \
    {                                                       \
        ENTER_GPU(function, device);                        \
        REQUIRE(number);                                    \
        if (gpu->member == UINT32_MAX)                      \
            return NOT_SUPPORTED;                           \
        *number = gpu->member;                              \
        return SUCCESS;                                     \
    }

NUMBER(nvmlDeviceGetIndex, index)
NUMBER(nvmlDeviceGetMinorNumber, minor)
NUMBER(nvmlDeviceGetBoardId, board_id)
NUMBER(nvmlDeviceGetBrand, brand)
NUMBER(nvmlDeviceGetNumGpuCores, cores)
NUMBER(nvmlDeviceGetMemoryBusWidth, memory_bus_bits)
NUMBER(nvmlDeviceGetNumaNodeId, numa_node)

EXPORT int nvmlDeviceGetArchitecture(device_t device, uint32_t *architecture)
{
    ENTER_GPU(nvmlDeviceGetArchitecture, device);
    REQUIRE(architecture);
    *architecture = gpu->architecture; /* 0xFFFFFFFF is the name of an unknown one */
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMultiGpuBoard(device_t device, uint32_t *several)
{
    ENTER_GPU(nvmlDeviceGetMultiGpuBoard, device);
    REQUIRE(several);
    *several = 0;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetCudaComputeCapability(device_t device, int *major, int *minor)
{
    ENTER_DEVICE(nvmlDeviceGetCudaComputeCapability, device);
    REQUIRE(major);
    REQUIRE(minor);
    *major = (int)gpu->cuda_major;
    *minor = (int)gpu->cuda_minor;
    return SUCCESS;
}

EXPORT int nvmlDeviceOnSameBoard(device_t one, device_t other, int *same)
{
    ENTER_GPU(nvmlDeviceOnSameBoard, one);
    REQUIRE(same);
    *same = one == other;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTopologyCommonAncestor(device_t one, device_t other, uint32_t *level)
{
    ENTER_GPU(nvmlDeviceGetTopologyCommonAncestor, one);
    REQUIRE(level);
    *level = one == other ? 0 : 50; /* NVML_TOPOLOGY_INTERNAL, NVML_TOPOLOGY_SYSTEM */
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTopologyNearestGpus(device_t device, uint32_t level, uint32_t *count, device_t *nearest)
{
    (void)level;
    (void)nearest;
    ENTER_GPU(nvmlDeviceGetTopologyNearestGpus, device);
    REQUIRE(count);
    *count = 0;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetP2PStatus(device_t one, device_t other, uint32_t capability, uint32_t *status)
{
    (void)capability;
    ENTER_GPU(nvmlDeviceGetP2PStatus, one);
    REQUIRE(status);
    *status = one == other ? 5 : gpu->link_count ? 0 : 1; /* NOT_SUPPORTED, OK, CHIPSET_NOT_SUPPORTED */
    return SUCCESS;
}

EXPORT int nvmlDeviceGetCpuAffinity(device_t device, uint32_t words, unsigned long *set)
{
    ENTER_GPU(nvmlDeviceGetCpuAffinity, device);
    REQUIRE(set);
    memset(set, 0xff, words * sizeof *set);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetMemoryAffinity(device_t device, uint32_t words, unsigned long *set, uint32_t scope)
{
    (void)scope;
    ENTER_GPU(nvmlDeviceGetMemoryAffinity, device);
    REQUIRE(set);
    memset(set, 0, words * sizeof *set);
    if (words > 0)
        set[0] = 1;
    return SUCCESS;
}
