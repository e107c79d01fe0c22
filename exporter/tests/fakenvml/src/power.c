/* Power and energy from closed forms, so that a test knows the truth to the millijoule. */
#include <math.h>

#include "fake.h"

enum { CONSTANT, SQUARE, SINE };

static double segment_watts(const struct segment *segment, double seconds)
{
    double phase;
    switch (segment->kind) {
    case SQUARE:
        phase = seconds - floor(seconds / segment->period_s) * segment->period_s;
        return phase < segment->duty * segment->period_s ? segment->second : segment->first;
    case SINE:
        return segment->first + segment->second * sin(2 * M_PI * seconds / segment->period_s);
    default:
        return segment->first;
    }
}

/* Joules times 1000 from the segment's start; waveform.py computes the same expressions in the same order. */
static double segment_mj(const struct segment *segment, double seconds)
{
    double cycles, phase, high_s, period = segment->period_s;
    switch (segment->kind) {
    case SQUARE:
        high_s = segment->duty * period;
        cycles = floor(seconds / period);
        phase = seconds - cycles * period;
        return 1000 * (cycles * (segment->second * high_s + segment->first * (period - high_s)) +
                       segment->second * fmin(phase, high_s) + segment->first * fmax(phase - high_s, 0));
    case SINE:
        return 1000 * (segment->first * seconds +
                       segment->second * period / (2 * M_PI) * (1 - cos(2 * M_PI * seconds / period)));
    default:
        return 1000 * (segment->first * seconds);
    }
}

static const struct segment *segment_at(const struct gpu *gpu, int64_t at_ns)
{
    uint32_t count = gpu->segment_count < FAKE_SEGMENTS ? gpu->segment_count : FAKE_SEGMENTS;
    while (count > 0)
        if (gpu->segments[--count].start_ns <= at_ns)
            return &gpu->segments[count];
    return NULL;
}

static double elapsed_s(const struct segment *segment, int64_t at_ns)
{
    return (double)(at_ns - segment->start_ns) * 1e-9;
}

/* Before the oldest segment: what had been counted when it began. */
static double total_mj(const struct gpu *gpu, int64_t at_ns)
{
    const struct segment *segment = segment_at(gpu, at_ns);
    if (segment == NULL)
        return gpu->segment_count ? gpu->segments[0].start_mj : 0;
    return segment->start_mj + segment_mj(segment, elapsed_s(segment, at_ns));
}

double power_watts(const struct gpu *gpu, int64_t at_ns)
{
    const struct segment *segment = segment_at(gpu, at_ns);
    return segment == NULL ? 0 : segment_watts(segment, elapsed_s(segment, at_ns));
}

double power_mean_watts(const struct gpu *gpu, int64_t from_ns, int64_t to_ns)
{
    if (gpu->segment_count > 0 && from_ns < gpu->segments[0].start_ns)
        from_ns = gpu->segments[0].start_ns;
    if (to_ns <= from_ns)
        return power_watts(gpu, to_ns);
    return (total_mj(gpu, to_ns) - total_mj(gpu, from_ns)) / ((double)(to_ns - from_ns) * 1e-6);
}

static uint32_t milliwatts_of(double watts)
{
    double milliwatts = rint(watts * 1000);
    return milliwatts <= 0 ? 0 : milliwatts >= UINT32_MAX ? UINT32_MAX : (uint32_t)milliwatts;
}

int power_usage_mw(const struct gpu *gpu, int64_t at_ns, uint32_t *milliwatts)
{
    uint32_t sequence;
    int attempt = 0;
    double watts;
    if (gpu->power_override_mw >= 0) {
        *milliwatts = (uint32_t)gpu->power_override_mw;
        return SUCCESS;
    }
    do {
        sequence = read_begin(gpu);
        watts = power_mean_watts(gpu, at_ns - gpu->power_window_ns, at_ns);
    } while (read_again(gpu, sequence, &attempt));
    *milliwatts = milliwatts_of(watts);
    return SUCCESS;
}

int energy_mj(const struct gpu *gpu, int64_t at_ns, uint64_t *millijoules)
{
    uint32_t sequence;
    int attempt = 0;
    double total;
    int64_t counted;
    if (gpu->energy_code != SUCCESS)
        return (int)gpu->energy_code;
    if (gpu->energy_step_ns > 0)
        at_ns -= at_ns % gpu->energy_step_ns;
    do {
        sequence = read_begin(gpu);
        total = total_mj(gpu, at_ns);
        /* a thousandth of a millijoule above, so that 300 W for 1 s counts 300000 and not 299999 */
        counted = gpu->energy_frozen ? gpu->energy_frozen_mj : (int64_t)floor(total + 1e-3) + gpu->energy_offset_mj;
    } while (read_again(gpu, sequence, &attempt));
    *millijoules = counted < 0 ? 0 : (uint64_t)counted;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetPowerUsage(device_t device, uint32_t *milliwatts)
{
    ENTER_GPU(nvmlDeviceGetPowerUsage, device);
    REQUIRE(milliwatts);
    return power_usage_mw(gpu, now_ns(call.control), milliwatts);
}

EXPORT int nvmlDeviceGetTotalEnergyConsumption(device_t device, uint64_t *millijoules)
{
    ENTER_GPU(nvmlDeviceGetTotalEnergyConsumption, device);
    REQUIRE(millijoules);
    return energy_mj(gpu, now_ns(call.control), millijoules);
}

struct sample {
    uint64_t timestamp_us;
    union value value;
};

static uint32_t sample_value(const struct gpu *gpu, uint32_t kind, int64_t at_ns)
{
    switch (kind) {
    case 0:
        if (gpu->power_override_mw >= 0)
            return (uint32_t)gpu->power_override_mw;
        if (gpu->sample_mean)
            return milliwatts_of(power_mean_watts(gpu, at_ns - gpu->sample_period_ns, at_ns));
        return milliwatts_of(power_watts(gpu, at_ns));
    case 1:
        return gpu->gpu_percent;
    case 2:
        return gpu->memory_percent;
    case 3:
        return gpu->encoder_percent;
    case 4:
        return gpu->decoder_percent;
    case 5:
        return gpu->clock_mhz[0];
    case 6:
        return gpu->clock_mhz[2];
    case 8:
        return gpu->jpeg_percent;
    default:
        return gpu->ofa_percent;
    }
}

/* The driver's ring: NULL asks for its size, then only what is newer than last_seen_us, oldest first. */
EXPORT int nvmlDeviceGetSamples(device_t device, uint32_t kind, uint64_t last_seen_us, uint32_t *type, uint32_t *count,
                                struct sample *samples)
{
    ENTER_GPU(nvmlDeviceGetSamples, device);
    REQUIRE(count);
    REQUIRE(type);
    if (kind > 9)
        return INVALID_ARGUMENT;
    if (gpu->sample_count == 0 || gpu->sample_period_ns <= 0 || kind == 7 || (gpu->mig_mode && kind != 0))
        return NOT_SUPPORTED;
    *type = V_UINT;
    if (samples == NULL) {
        *count = gpu->sample_count;
        return SUCCESS;
    }
    int64_t period = gpu->sample_period_ns;
    int64_t newest = now_ns(call.control) / period * period;
    int64_t oldest = newest - (int64_t)(gpu->sample_count - 1) * period;
    uint32_t sequence, written, room = *count;
    int attempt = 0;
    do {
        sequence = read_begin(gpu);
        written = 0;
        for (int64_t at = oldest; at <= newest && written < room; at += period) {
            uint64_t timestamp = (uint64_t)wall_us(call.control, at);
            if (gpu->segment_count == 0 || at < gpu->segments[0].start_ns || timestamp <= last_seen_us)
                continue;
            samples[written].timestamp_us = timestamp;
            samples[written].value = (union value){.u64 = sample_value(gpu, kind, at)};
            written++;
        }
    } while (read_again(gpu, sequence, &attempt));
    *count = written;
    return written ? SUCCESS : NOT_FOUND;
}
