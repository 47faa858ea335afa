#include "vitc_base.h"

const char *vitc_status_string(vitc_status status)
{
    switch (status) {
    case VITC_OK:
        return "ok";
    case VITC_ERR_ARGUMENT:
        return "invalid argument";
    case VITC_ERR_MEMORY:
        return "out of memory";
    case VITC_ERR_UNREADABLE:
        return "unreadable";
    case VITC_ERR_UNWRITABLE:
        return "unwritable";
    case VITC_ERR_TRUNCATED:
        return "truncated";
    case VITC_ERR_CORRUPT:
        return "corrupt";
    case VITC_ERR_UNSUPPORTED:
        return "unsupported";
    case VITC_ERR_TOO_LARGE:
        return "too large";
    case VITC_ERR_MODEL:
        return "invalid model";
    case VITC_ERR_PREPROCESS:
        return "no usable preprocessing";
    case VITC_ERR_UNTRAINED:
        return "untrained head";
    case VITC_ERR_INTERNAL:
        return "internal error";
    case VITC_ERR_OVERFLOW:
        return "overflow";
    }
    return "unknown status";
}

const char *vitc_version(void)
{
    return VITC_VERSION_STRING;
}
