/* Who runs on a GPU, what they use, and what they used lately. */
#include <stdio.h>
#include <stdlib.h>

#include "fake.h"

enum { COMPUTE = 1, GRAPHICS = 2, MPS = 4 };

#define DETAIL_V1 0x01000018u
#define UTILIZATION_V1 0x01000018u

struct process_v1 {
    uint32_t pid;
    uint64_t used_bytes;
};

struct process_v2 {
    uint32_t pid;
    uint64_t used_bytes;
    uint32_t gpu_instance_id, compute_instance_id;
};

struct process_detail {
    uint32_t pid;
    uint64_t used_bytes;
    uint32_t gpu_instance_id, compute_instance_id;
    uint64_t protected_bytes;
};

/* A handle of a MIG instance lists its own processes; the whole GPU lists all. */
static int belongs(const struct gpu *gpu, const struct process *process, int mig, uint32_t kinds)
{
    if ((process->kinds & kinds) == 0)
        return 0;
    return mig < 0 || (process->gpu_instance_id == gpu->instances[mig].gpu_instance_id &&
                       process->compute_instance_id == gpu->instances[mig].compute_instance_id);
}

static struct process_detail detail_of(const struct gpu *gpu, const struct process *process)
{
    struct process_detail detail = {process->pid, process->used_bytes, process->gpu_instance_id,
                                    process->compute_instance_id, 0};
    if (!gpu->mig_mode)
        detail.gpu_instance_id = detail.compute_instance_id = UINT32_MAX;
    return detail;
}

/* A process that came between the two calls of a caller: `process_growth` of them, always new. */
static struct process_detail newcomer(uint32_t number)
{
    return (struct process_detail){4000000 + number, 1 << 20, UINT32_MAX, UINT32_MAX, 0};
}

static void write_as(void *list, uint32_t position, size_t size, const struct process_detail *detail)
{
    struct process_v1 first = {detail->pid, detail->used_bytes};
    if (size == sizeof first)
        memcpy((char *)list + position * size, &first, size);
    else
        memcpy((char *)list + position * size, detail, size); /* the later versions only append */
}

_Static_assert(offsetof(struct process_v2, compute_instance_id) == offsetof(struct process_detail, compute_instance_id),
               "version 2 is the head of the detailed record");

static int list_processes(const struct call *call, uint32_t kinds, uint32_t *count, void *list, size_t size)
{
    const struct gpu *gpu = call->gpu;
    uint32_t sequence, total, room;
    int attempt = 0;
    REQUIRE(count);
    room = list == NULL ? 0 : *count;
    do {
        sequence = read_begin(gpu);
        total = 0;
        for (uint32_t i = 0; i < gpu->process_count && i < FAKE_PROCESSES; i++) {
            if (!belongs(gpu, &gpu->processes[i], call->mig, kinds))
                continue;
            struct process_detail detail = detail_of(gpu, &gpu->processes[i]);
            if (total < room)
                write_as(list, total, size, &detail);
            total++;
        }
        for (uint32_t i = 0; list != NULL && i < gpu->process_growth; i++, total++) {
            struct process_detail detail = newcomer(i);
            if (total < room)
                write_as(list, total, size, &detail);
        }
    } while (read_again(gpu, sequence, &attempt));
    *count = total;
    return total > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define LIST(function, kinds, type)                                      \
    EXPORT int function(device_t device, uint32_t *count, type *list)    \
    {                                                                    \
        ENTER_DEVICE(function, device);                                  \
        return list_processes(&call, kinds, count, list, sizeof(type));  \
    }

LIST(nvmlDeviceGetComputeRunningProcesses, COMPUTE, struct process_v1)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, COMPUTE, struct process_v2)
LIST(nvmlDeviceGetComputeRunningProcesses_v3, COMPUTE, struct process_v2)
LIST(nvmlDeviceGetGraphicsRunningProcesses, GRAPHICS, struct process_v1)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, GRAPHICS, struct process_v2)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, GRAPHICS, struct process_v2)
LIST(nvmlDeviceGetMPSComputeRunningProcesses, MPS, struct process_v1)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, MPS, struct process_v2)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, MPS, struct process_v2)

struct detail_list {
    uint32_t version, mode, count;
    struct process_detail *list;
};

EXPORT int nvmlDeviceGetRunningProcessDetailList(device_t device, struct detail_list *details)
{
    static const uint32_t kinds[] = {COMPUTE, GRAPHICS, MPS, COMPUTE | GRAPHICS | MPS};
    ENTER_DEVICE(nvmlDeviceGetRunningProcessDetailList, device);
    REQUIRE(details);
    if (details->version != DETAIL_V1)
        return ARGUMENT_VERSION_MISMATCH;
    if (details->mode > 3)
        return INVALID_ARGUMENT;
    return list_processes(&call, kinds[details->mode], &details->count, details->list, sizeof(struct process_detail));
}

struct utilization_sample {
    uint32_t pid;
    uint64_t timestamp_us;
    uint32_t sm, memory, encoder, decoder;
};

struct utilization_info {
    uint64_t timestamp_us;
    uint32_t pid, sm, memory, encoder, decoder, jpeg, ofa;
};

static int busy(const struct process *process)
{
    return process->sm_percent || process->memory_percent || process->encoder_percent || process->decoder_percent ||
           process->jpeg_percent || process->ofa_percent;
}

/* The driver samples on a grid of its own; a process has one sample, at the last point or when it was told. */
static uint64_t sampled_us(const struct call *call, const struct process *process)
{
    uint64_t wall = (uint64_t)wall_us(call->control, now_ns(call->control));
    uint32_t period = call->gpu->process_period_us;
    if (process->sampled_us)
        return process->sampled_us;
    return period ? wall - wall % period : wall;
}

static struct utilization_info info_of(const struct process *process, uint64_t timestamp_us)
{
    return (struct utilization_info){timestamp_us,
                                     process->pid,
                                     process->sm_percent,
                                     process->memory_percent,
                                     process->encoder_percent,
                                     process->decoder_percent,
                                     process->jpeg_percent,
                                     process->ofa_percent};
}

static void put_sample(void *list, uint32_t position, int extended, const struct utilization_info *info)
{
    struct utilization_sample sample = {info->pid,    info->timestamp_us, info->sm,
                                        info->memory, info->encoder,      info->decoder};
    if (extended)
        ((struct utilization_info *)list)[position] = *info;
    else
        ((struct utilization_sample *)list)[position] = sample;
}

/* Asked without a buffer: INSUFFICIENT_SIZE and the size, or NOT_FOUND when nothing is newer than the cursor.
 * With one: what was written. `process_phantoms` adds the empty records that some drivers return. */
static int utilization(const struct call *call, uint64_t last_seen_us, uint32_t *count, void *list, int extended)
{
    const struct gpu *gpu = call->gpu;
    uint32_t sequence, total, room = list == NULL ? 0 : *count;
    int attempt = 0;
    if (gpu->mig_mode)
        return NOT_SUPPORTED;
    do {
        sequence = read_begin(gpu);
        total = 0;
        for (uint32_t i = 0; i < gpu->process_count && i < FAKE_PROCESSES; i++) {
            uint64_t timestamp = sampled_us(call, &gpu->processes[i]);
            if (!busy(&gpu->processes[i]) || timestamp <= last_seen_us)
                continue;
            struct utilization_info info = info_of(&gpu->processes[i], timestamp);
            if (total < room)
                put_sample(list, total, extended, &info);
            total++;
        }
        for (uint32_t i = 0; total > 0 && i < gpu->process_phantoms; i++, total++) {
            struct utilization_info info = {0};
            if (total < room)
                put_sample(list, total, extended, &info);
        }
    } while (read_again(gpu, sequence, &attempt));
    *count = total;
    if (total == 0)
        return NOT_FOUND;
    return total > room ? INSUFFICIENT_SIZE : SUCCESS;
}

EXPORT int nvmlDeviceGetProcessUtilization(device_t device, struct utilization_sample *list, uint32_t *count,
                                           uint64_t last_seen_us)
{
    ENTER_GPU(nvmlDeviceGetProcessUtilization, device);
    REQUIRE(count);
    return utilization(&call, last_seen_us, count, list, 0);
}

struct utilization_list {
    uint32_t version, count;
    uint64_t last_seen_us;
    struct utilization_info *list;
};

EXPORT int nvmlDeviceGetProcessesUtilizationInfo(device_t device, struct utilization_list *asked)
{
    ENTER_GPU(nvmlDeviceGetProcessesUtilizationInfo, device);
    REQUIRE(asked);
    if (asked->version != UTILIZATION_V1)
        return ARGUMENT_VERSION_MISMATCH;
    return utilization(&call, asked->last_seen_us, &asked->count, asked->list, 1);
}

EXPORT int nvmlSystemGetProcessName(uint32_t pid, char *name, uint32_t length)
{
    char path[64], line[256];
    ENTER(nvmlSystemGetProcessName, -1);
    for (uint32_t slot = 0; slot < call.control->gpu_slots; slot++) {
        const struct gpu *gpu = &call.control->gpus[slot];
        for (uint32_t i = 0; i < gpu->process_count && i < FAKE_PROCESSES; i++)
            if (gpu->processes[i].pid == pid && gpu->processes[i].name[0] != 0)
                return copy_string(gpu->processes[i].name, sizeof gpu->processes[i].name, name, length);
    }
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NOT_FOUND;
    line[fread(line, 1, sizeof line - 1, file)] = 0;
    fclose(file);
    return copy_string(line, sizeof line, name, length);
}

EXPORT int nvmlDeviceGetAccountingBufferSize(device_t device, uint32_t *size)
{
    ENTER_GPU(nvmlDeviceGetAccountingBufferSize, device);
    REQUIRE(size);
    *size = 4000;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetAccountingPids(device_t device, uint32_t *count, uint32_t *pids)
{
    ENTER_GPU(nvmlDeviceGetAccountingPids, device);
    REQUIRE(count);
    if (!gpu->accounting_mode)
        return NOT_SUPPORTED;
    uint32_t room = pids == NULL ? 0 : *count;
    *count = gpu->process_count;
    for (uint32_t i = 0; i < gpu->process_count && i < room; i++)
        pids[i] = gpu->processes[i].pid;
    return *count > room ? INSUFFICIENT_SIZE : SUCCESS;
}

struct accounting {
    uint32_t gpu_percent, memory_percent;
    uint64_t memory_peak, run_ms, start_us;
    uint32_t running, reserved[5];
};

EXPORT int nvmlDeviceGetAccountingStats(device_t device, uint32_t pid, struct accounting *stats)
{
    ENTER_GPU(nvmlDeviceGetAccountingStats, device);
    REQUIRE(stats);
    if (!gpu->accounting_mode)
        return NOT_SUPPORTED;
    for (uint32_t i = 0; i < gpu->process_count && i < FAKE_PROCESSES; i++) {
        const struct process *process = &gpu->processes[i];
        if (process->pid != pid)
            continue;
        *stats = (struct accounting){process->sm_percent, process->memory_percent, process->used_bytes,
                                     process->kinds ? 0 : process->run_ms, process->start_us,
                                     process->kinds != 0, {0}};
        return SUCCESS;
    }
    return NOT_FOUND;
}
