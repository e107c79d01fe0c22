/* Event sets: each has its own place in every GPU's queue, so each sees an event once. */
#include <stdlib.h>

#include "fake.h"

#define POLL_US 20000 /* a waiting exporter must not cost CPU time that is the fake's */

struct event_set {
    uint64_t types[FAKE_GPUS];
    uint64_t seen[FAKE_GPUS];
};

struct event_data {
    device_t device;
    uint64_t type, data;
    uint32_t gpu_instance_id, compute_instance_id;
};

EXPORT int nvmlEventSetCreate(struct event_set **set)
{
    ENTER(nvmlEventSetCreate, -1);
    REQUIRE(set);
    *set = calloc(1, sizeof **set);
    if (*set == NULL)
        return MEMORY;
    __atomic_add_fetch(&call.control->event_sets, 1, __ATOMIC_SEQ_CST);
    return SUCCESS;
}

EXPORT int nvmlEventSetFree(struct event_set *set)
{
    ENTER(nvmlEventSetFree, -1);
    REQUIRE(set);
    free(set);
    __atomic_sub_fetch(&call.control->event_sets, 1, __ATOMIC_SEQ_CST);
    return SUCCESS;
}

EXPORT int nvmlDeviceGetSupportedEventTypes(device_t device, uint64_t *types)
{
    ENTER_GPU(nvmlDeviceGetSupportedEventTypes, device);
    REQUIRE(types);
    *types = gpu->supported_events;
    return SUCCESS;
}

/* What happened before the registration is lost, as with the driver. */
EXPORT int nvmlDeviceRegisterEvents(device_t device, uint64_t types, struct event_set *set)
{
    ENTER_GPU(nvmlDeviceRegisterEvents, device);
    REQUIRE(set);
    if (types & ~gpu->supported_events)
        return NOT_SUPPORTED;
    if (set->types[call.slot] == 0)
        set->seen[call.slot] = __atomic_load_n(&gpu->event_head, __ATOMIC_ACQUIRE);
    set->types[call.slot] |= types;
    return SUCCESS;
}

static int next_event(struct control *control, struct event_set *set, struct event_data *data)
{
    for (uint32_t slot = 0; slot < control->gpu_slots; slot++) {
        const struct gpu *gpu = &control->gpus[slot];
        uint64_t head = __atomic_load_n(&gpu->event_head, __ATOMIC_ACQUIRE);
        while (set->types[slot] != 0 && set->seen[slot] < head) {
            const struct event *event = &gpu->events[set->seen[slot]++ % FAKE_EVENTS];
            if ((event->type & set->types[slot]) == 0)
                continue;
            data->device = handle_of(control, (int)slot, -1);
            data->type = event->type;
            data->data = event->data;
            data->gpu_instance_id = event->gpu_instance_id;
            data->compute_instance_id = event->compute_instance_id;
            return 1;
        }
    }
    return 0;
}

static int wait_for_event(struct call *call, struct event_set *set, struct event_data *data, uint32_t timeout_ms)
{
    REQUIRE(set);
    REQUIRE(data);
    uint64_t left_us = (uint64_t)timeout_ms * 1000;
    while (!next_event(call->control, set, data)) {
        if (left_us == 0)
            return TIMEOUT;
        uint64_t step = left_us < POLL_US ? left_us : POLL_US;
        sleep_us(step);
        left_us -= step;
    }
    return SUCCESS;
}

EXPORT int nvmlEventSetWait(struct event_set *set, struct event_data *data, uint32_t timeout_ms)
{
    ENTER(nvmlEventSetWait, -1);
    return wait_for_event(&call, set, data, timeout_ms);
}

EXPORT int nvmlEventSetWait_v2(struct event_set *set, struct event_data *data, uint32_t timeout_ms)
{
    ENTER(nvmlEventSetWait_v2, -1);
    return wait_for_event(&call, set, data, timeout_ms);
}
