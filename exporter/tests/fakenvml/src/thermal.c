/* Temperatures, their thresholds, and the fans. */
#include "fake.h"

#define TEMPERATURE_V1 0x0100000cu
#define MARGIN_V1 0x01000008u
#define FAN_V1 0x0100000cu

static int sensor(const struct gpu *gpu, uint32_t which, int32_t *celsius)
{
    if (which > 1)
        return INVALID_ARGUMENT;
    *celsius = which == 0 ? gpu->temperature : gpu->temperature_peak;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTemperature(device_t device, uint32_t which, uint32_t *celsius)
{
    ENTER_GPU(nvmlDeviceGetTemperature, device);
    REQUIRE(celsius);
    return sensor(gpu, which, (int32_t *)celsius);
}

struct temperature_v1 {
    uint32_t version, sensor;
    int32_t celsius;
};

EXPORT int nvmlDeviceGetTemperatureV(device_t device, struct temperature_v1 *temperature)
{
    ENTER_GPU(nvmlDeviceGetTemperatureV, device);
    REQUIRE(temperature);
    if (temperature->version != TEMPERATURE_V1)
        return ARGUMENT_VERSION_MISMATCH;
    return sensor(gpu, temperature->sensor, &temperature->celsius);
}

struct margin_v1 {
    uint32_t version;
    int32_t celsius;
};

EXPORT int nvmlDeviceGetMarginTemperature(device_t device, struct margin_v1 *margin)
{
    ENTER_GPU(nvmlDeviceGetMarginTemperature, device);
    REQUIRE(margin);
    if (margin->version != MARGIN_V1)
        return ARGUMENT_VERSION_MISMATCH;
    margin->celsius = gpu->temperature_margin;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTemperatureThreshold(device_t device, uint32_t which, uint32_t *celsius)
{
    ENTER_GPU(nvmlDeviceGetTemperatureThreshold, device);
    REQUIRE(celsius);
    if (which >= 8)
        return INVALID_ARGUMENT;
    if (gpu->thresholds[which] == UINT32_MAX)
        return NOT_SUPPORTED;
    *celsius = gpu->thresholds[which];
    return SUCCESS;
}

static int fan(const struct gpu *gpu, uint32_t which, const uint32_t *values, uint32_t *value)
{
    if (gpu->fan_count == 0)
        return NOT_SUPPORTED;
    if (which >= gpu->fan_count || which >= FAKE_FANS)
        return INVALID_ARGUMENT;
    *value = values[which];
    return SUCCESS;
}

EXPORT int nvmlDeviceGetNumFans(device_t device, uint32_t *count)
{
    ENTER_GPU(nvmlDeviceGetNumFans, device);
    REQUIRE(count);
    *count = gpu->fan_count;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetFanSpeed(device_t device, uint32_t *percent)
{
    ENTER_GPU(nvmlDeviceGetFanSpeed, device);
    REQUIRE(percent);
    return fan(gpu, 0, gpu->fan_percent, percent);
}

EXPORT int nvmlDeviceGetFanSpeed_v2(device_t device, uint32_t which, uint32_t *percent)
{
    ENTER_GPU(nvmlDeviceGetFanSpeed_v2, device);
    REQUIRE(percent);
    return fan(gpu, which, gpu->fan_percent, percent);
}

struct fan_v1 {
    uint32_t version, fan, rpm;
};

EXPORT int nvmlDeviceGetFanSpeedRPM(device_t device, struct fan_v1 *speed)
{
    ENTER_GPU(nvmlDeviceGetFanSpeedRPM, device);
    REQUIRE(speed);
    if (speed->version != FAN_V1)
        return ARGUMENT_VERSION_MISMATCH;
    return fan(gpu, speed->fan, gpu->fan_rpm, &speed->rpm);
}
