/* vitc.h - the whole public interface of libvitc in one include, bottom to top:
 *   vitc_base.h  status codes, log callback        imgio.h   bytes <-> pixels
 *   patches.h    pixels -> model input             datasets.h  sets of images, loader, metrics
 *   vit.h        models, forward pass, classifier  vit_train.h  parameters and their gradients
 * Most applications need vit_model_load, vit_classifier_create and vit_classify only;
 * docs/embedding.md walks through them. */
#ifndef VITC_H
#define VITC_H

#include "vitc_base.h"
#include "imgio.h"
#include "patches.h"
#include "datasets.h"
#include "vit.h"
#include "vit_train.h"

#endif
