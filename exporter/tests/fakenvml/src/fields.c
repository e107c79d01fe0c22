/* nvmlDeviceGetFieldValues: many readings in one call, each with a return code of its own. */
#include "fake.h"

struct field_value {
    uint32_t field, scope;
    int64_t timestamp_us, latency_us;
    uint32_t type;
    uint32_t code;
    union value value;
};

static int unsigned_int(uint32_t number, int *type, union value *value)
{
    *type = V_UINT;
    value->u64 = number;
    return SUCCESS;
}

static int unsigned_long_long(uint64_t number, int *type, union value *value)
{
    *type = V_ULL;
    value->u64 = number;
    return SUCCESS;
}

static int signed_int(int32_t number, int *type, union value *value)
{
    *type = V_SINT;
    value->u64 = 0;
    value->i32 = number;
    return SUCCESS;
}

/* scope: 0 the GPU, 1 the module (Grace Hopper), 2 the memory */
static int power_field(const struct gpu *gpu, uint32_t field, uint32_t scope, int64_t at_ns, int *type,
                       union value *value)
{
    uint32_t milliwatts = 0;
    int64_t other = scope == 1 ? gpu->module_power_mw : scope == 2 ? gpu->memory_power_mw : -1;
    int code = SUCCESS;
    if (scope != 0 && other < 0)
        return NOT_SUPPORTED;
    if (scope != 0)
        milliwatts = (uint32_t)other;
    else if (field == 185 || gpu->power_override_mw >= 0)
        code = power_usage_mw(gpu, at_ns, &milliwatts);
    else
        milliwatts = (uint32_t)(power_watts(gpu, at_ns) * 1000 + 0.5);
    unsigned_int(milliwatts, type, value);
    return code;
}

static int energy_field(const struct gpu *gpu, int64_t at_ns, int *type, union value *value)
{
    *type = V_ULL;
    return energy_mj(gpu, at_ns, &value->u64);
}

static int ecc_field(const struct gpu *gpu, uint32_t field, int *type, union value *value)
{
    if (!gpu->ecc_mode && field > 2)
        return NOT_SUPPORTED;
    switch (field) {
    case 1:
        return unsigned_int(gpu->ecc_mode, type, value);
    case 2:
        return unsigned_int(gpu->ecc_pending, type, value);
    case 3: /* single bit = corrected, double bit = uncorrected; volatile, then aggregate */
        return unsigned_long_long(gpu->ecc_total[0], type, value);
    case 4:
        return unsigned_long_long(gpu->ecc_total[2], type, value);
    case 5:
        return unsigned_long_long(gpu->ecc_total[1], type, value);
    default:
        return unsigned_long_long(gpu->ecc_total[3], type, value);
    }
}

static int throttle_field(const struct gpu *gpu, uint32_t field, int64_t at_ns, int *type, union value *value)
{
    static const int policy[] = {0, 1, 2, 3, 4, 5, 10, 11}; /* fields 74 to 81 */
    const struct counter *counter = field >= 269 ? &gpu->throttle_ns[field - 269] : &gpu->violation_ns[policy[field - 74]];
    return unsigned_long_long(counter_at(counter, at_ns), type, value);
}

static int limit_field(const struct gpu *gpu, uint32_t field, int *type, union value *value)
{
    switch (field) {
    case 187:
        return unsigned_int(gpu->power_limit_min_mw, type, value);
    case 188:
        return unsigned_int(gpu->power_limit_max_mw, type, value);
    case 189:
        return unsigned_int(gpu->power_limit_default_mw, type, value);
    case 190:
        return unsigned_int(gpu->power_limit_enforced_mw, type, value);
    default:
        return unsigned_int(gpu->power_limit_requested_mw, type, value);
    }
}

static int wear_field(const struct gpu *gpu, uint32_t field, int *type, union value *value)
{
    switch (field) {
    case 29:
    case 30:
        return unsigned_int(gpu->retired_count[field - 29], type, value);
    case 31:
        return unsigned_int(gpu->retired_pending, type, value);
    default:
        return unsigned_int(gpu->remapped[field - 142], type, value);
    }
}

static int number_field(const struct gpu *gpu, uint32_t field, int64_t at_ns, int *type, union value *value)
{
    switch (field) {
    case 82:
        if (gpu->memory_temperature == UINT32_MAX)
            return NOT_SUPPORTED;
        return unsigned_int(gpu->memory_temperature, type, value);
    case 91:
        return unsigned_int(gpu->link_count, type, value);
    case 94:
        return unsigned_int(gpu->pcie_replays, type, value);
    case 197:
        return unsigned_long_long(counter_at(&gpu->pcie_transmit_bytes, at_ns), type, value);
    case 198:
        return unsigned_long_long(counter_at(&gpu->pcie_receive_bytes, at_ns), type, value);
    case 230:
        return unsigned_int(gpu->recovery_action, type, value);
    default:
        return NOT_SUPPORTED;
    }
}

static int between(uint32_t field, uint32_t first, uint32_t last)
{
    return field >= first && field <= last;
}

static int built_in(const struct gpu *gpu, uint32_t field, uint32_t scope, int64_t at_ns, int *type, union value *value)
{
    if (field == 185 || field == 186)
        return power_field(gpu, field, scope, at_ns, type, value);
    if (field == 83 || field == 191)
        return energy_field(gpu, at_ns, type, value);
    if (between(field, 1, 6))
        return ecc_field(gpu, field, type, value);
    if (between(field, 74, 81) || between(field, 269, 271))
        return throttle_field(gpu, field, at_ns, type, value);
    if (between(field, 187, 190) || field == 192)
        return limit_field(gpu, field, type, value);
    if (between(field, 193, 196))
        return signed_int(gpu->tlimits[field - 193], type, value);
    if (between(field, 29, 31) || between(field, 142, 145))
        return wear_field(gpu, field, type, value);
    if (between(field, 138, 141) || between(field, 160, 166) || field == 202 || field == 204 || field == 38 ||
        field == 45 || field == 52 || field == 59)
        return link_field(gpu, field, scope, at_ns, type, value);
    return number_field(gpu, field, at_ns, type, value);
}

static void answer(const struct gpu *gpu, int64_t at_ns, struct field_value *asked)
{
    int type = V_ULL;
    if (asked->field >= FAKE_FIELDS) {
        asked->code = INVALID_ARGUMENT;
        return;
    }
    const struct field *forced = &gpu->fields[asked->field];
    if (forced->set) {
        asked->code = forced->code;
        asked->type = forced->type;
        asked->value.u64 = forced->bits;
        return;
    }
    asked->value.u64 = 0;
    asked->code = (uint32_t)built_in(gpu, asked->field, asked->scope, at_ns, &type, &asked->value);
    asked->type = (uint32_t)type;
}

EXPORT int nvmlDeviceGetFieldValues(device_t device, int count, struct field_value *values)
{
    ENTER_GPU(nvmlDeviceGetFieldValues, device);
    REQUIRE(values);
    if (count <= 0)
        return INVALID_ARGUMENT;
    int64_t at_ns = now_ns(call.control);
    for (int i = 0; i < count; i++) {
        values[i].timestamp_us = wall_us(call.control, at_ns);
        values[i].latency_us = 1;
        answer(gpu, at_ns, &values[i]);
    }
    return SUCCESS;
}
