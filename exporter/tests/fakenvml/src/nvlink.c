/* NVLink: state and errors by link, traffic and errors as field values. */
#include "fake.h"

static int link_at(struct gpu *gpu, uint32_t number, struct link **link)
{
    if (gpu->link_count == 0)
        return NOT_SUPPORTED;
    if (number >= gpu->link_count || number >= FAKE_LINKS)
        return INVALID_ARGUMENT;
    *link = &gpu->links[number];
    return SUCCESS;
}

#define ENTER_LINK(function, device, number)            \
    struct link *link = NULL;                           \
    ENTER_GPU(function, device);                        \
    int found = link_at(gpu, number, &link);            \
    if (found != SUCCESS)                               \
    return found

EXPORT int nvmlDeviceGetNvLinkState(device_t device, uint32_t number, uint32_t *active)
{
    ENTER_LINK(nvmlDeviceGetNvLinkState, device, number);
    REQUIRE(active);
    *active = link->active;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNvLinkVersion(device_t device, uint32_t number, uint32_t *version)
{
    ENTER_LINK(nvmlDeviceGetNvLinkVersion, device, number);
    REQUIRE(version);
    *version = link->version;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNvLinkErrorCounter(device_t device, uint32_t number, uint32_t which, uint64_t *count)
{
    ENTER_LINK(nvmlDeviceGetNvLinkErrorCounter, device, number);
    REQUIRE(count);
    if (which >= 5)
        return INVALID_ARGUMENT;
    if (!link->active)
        return NOT_SUPPORTED;
    *count = link->errors[which];
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNvLinkCapability(device_t device, uint32_t number, uint32_t which, uint32_t *capable)
{
    ENTER_LINK(nvmlDeviceGetNvLinkCapability, device, number);
    REQUIRE(capable);
    if (which >= 6)
        return INVALID_ARGUMENT;
    *capable = link->active;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNvLinkRemoteDeviceType(device_t device, uint32_t number, uint32_t *type)
{
    ENTER_LINK(nvmlDeviceGetNvLinkRemoteDeviceType, device, number);
    REQUIRE(type);
    if (!link->active)
        return NOT_SUPPORTED;
    *type = link->remote_type;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNvLinkRemotePciInfo_v2(device_t device, uint32_t number, void *info)
{
    const size_t bus_id_at = 36; /* nvmlPciInfo_t: legacy id, five numbers, then the bus id */
    ENTER_LINK(nvmlDeviceGetNvLinkRemotePciInfo_v2, device, number);
    REQUIRE(info);
    if (!link->active)
        return NOT_SUPPORTED;
    memset(info, 0, bus_id_at);
    memcpy((char *)info + bus_id_at, link->remote_bus_id, sizeof link->remote_bus_id);
    return SUCCESS;
}

enum { REPLAY, RECOVERY, CRC_FLIT, CRC_DATA, ECC_DATA };

static int one_link(const struct link *link, uint32_t field, int64_t at_ns, uint64_t *number)
{
    switch (field) {
    case 38:
    case 163:
        *number = link->errors[CRC_FLIT];
        return SUCCESS;
    case 45:
        *number = link->errors[CRC_DATA];
        return SUCCESS;
    case 52:
    case 161:
        *number = link->errors[REPLAY];
        return SUCCESS;
    case 59:
    case 162:
        *number = link->errors[RECOVERY];
        return SUCCESS;
    case 160:
        *number = link->errors[ECC_DATA];
        return SUCCESS;
    case 138: /* data, KiB since the driver was loaded */
    case 140:
        *number = counter_at(&link->transmit_kib, at_ns);
        return SUCCESS;
    case 139:
    case 141:
        *number = counter_at(&link->receive_kib, at_ns);
        return SUCCESS;
    case 202: /* the same in bytes, on newer drivers */
        *number = counter_at(&link->transmit_kib, at_ns) * 1024;
        return SUCCESS;
    case 204:
        *number = counter_at(&link->receive_kib, at_ns) * 1024;
        return SUCCESS;
    default:
        return NOT_SUPPORTED;
    }
}

static int link_state(const struct link *link, uint32_t field, uint64_t *number)
{
    switch (field) {
    case 164:
        *number = link->speed_mbps;
        return SUCCESS;
    case 165:
        *number = link->active;
        return SUCCESS;
    case 166:
        *number = link->version;
        return SUCCESS;
    default:
        return NOT_SUPPORTED;
    }
}

int link_field(const struct gpu *gpu, uint32_t field, uint32_t scope, int64_t at_ns, int *type, union value *value)
{
    uint64_t number, sum = 0;
    int code = NOT_SUPPORTED;
    if (gpu->link_count == 0)
        return NOT_SUPPORTED;
    *type = field >= 164 && field <= 166 ? V_UINT : V_ULL;
    if (field == 38 || field == 45 || field == 52 || field == 59 || field == 160)
        scope = UINT32_MAX; /* totals of all links by name */
    if (scope != UINT32_MAX && (scope >= gpu->link_count || scope >= FAKE_LINKS))
        return INVALID_ARGUMENT;
    if (*type == V_UINT) {
        code = link_state(&gpu->links[scope == UINT32_MAX ? 0 : scope], field, &number);
        value->u64 = number;
        return code;
    }
    for (uint32_t i = 0; i < gpu->link_count && i < FAKE_LINKS; i++) {
        if (scope != UINT32_MAX && scope != i)
            continue;
        if (gpu->links[i].active && one_link(&gpu->links[i], field, at_ns, &number) == SUCCESS) {
            sum += number;
            code = SUCCESS;
        }
    }
    value->u64 = sum;
    return code;
}
