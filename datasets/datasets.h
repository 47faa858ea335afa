/* datasets.h - images in number, with and without labels: sets of them in folders, tar files and
 * lists; the loader that keeps all CPUs busy with them; what is measured of a classifier on them.
 *
 * datasets knows nothing of ViT: it hands out images and takes logits.
 */
#ifndef VITC_DATASETS_H
#define VITC_DATASETS_H

#include "patches.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sets ---- */

/* A set is read once, from its beginning to its end, by one thread; nothing in memory grows with
 * the number of its images but the names of the one folder being listed. */
typedef struct datasets_set datasets_set;

typedef enum datasets_kind {
    DATASETS_FILES = 0, /* files and folders of files, without labels */
    DATASETS_FOLDERS,   /* a folder of class folders */
    DATASETS_MANIFEST,  /* a list of path and label: .csv, .tsv, .jsonl */
    DATASETS_TAR,       /* tar files of class folders, or of WebDataset pairs; gzip too */
    DATASETS_IDX,       /* the MNIST family's files of images and labels; gzip too */
    DATASETS_CIFAR      /* CIFAR-10's and CIFAR-100's binary batches */
} datasets_kind;

/* "files", "folders", "manifest", ... */
VITC_API const char *datasets_kind_string(datasets_kind kind);

/* A part of a set, chosen for each image by a hash of `seed` and its path below the set: the same
 * image falls into the same part wherever the set lies, and when other images come or go. Only the
 * first image of each class is never chosen, so that there is one of every class to learn from. */
typedef enum datasets_part {
    DATASETS_ALL = 0,
    DATASETS_CHOSEN, /* about `fraction` of the images */
    DATASETS_REST    /* all others */
} datasets_part;

typedef struct datasets_options {
    bool labelled; /* look for labels; false: every image file found is an image */
    datasets_part part;
    double fraction; /* 0 < fraction < 1, unless part is DATASETS_ALL */
    uint64_t seed;
    const char *class_names; /* NULL, or a file with one class name per line, from 0: for IDX, CIFAR
                                and the numbers in tar files' .cls and .json */
    size_t max_file_size;    /* bytes of one image file; 0: imgio's default limit */
    bool standard_input;     /* not labelled: the path - is one image on standard input */

    /* NULL, or asked before an image is read: an image that is not wanted is passed over, which
     * costs no reading of its bytes (of a tar file: no keeping). Indices go on counting. */
    bool (*wanted)(void *user, uint64_t index, const char *path);
    void *wanted_user;
} datasets_options;

VITC_API datasets_options datasets_options_default(void); /* labelled, all, imgio's limits */

/* Opens what `paths` name together, in their order; of which kind they are is seen by looking:
 *   a folder of class folders    each folder below it is a class, files at any depth below that
 *                                its images, but for those that neither their names nor their first
 *                                bytes make pictures (notes, sounds, videos), which are counted and
 *                                told at the end; classes and files in natural order (img2, img10)
 *   .csv .tsv .jsonl, file name  columns or keys `path` and `label` (or file_name, filename,
 *                                filepath, img_path, image_path, file, image; class, class_name,
 *                                category, target); without a line of names the first and second.
 *                                Paths are relative to the list; one that is there twice counts
 *                                once, with a warning, and with two labels is VITC_ERR_CORRUPT
 *   a tar file (.tar .tar.gz     the class of a file is the folder that holds it; or pairs of one
 *   .tgz), also prefix{000..9}   name up to its first dot, next to each other: an image and a .cls
 *                                (a name or a number) or a .json (label, cls or class), of which
 *                                the first 16 names tell
 *   an IDX file of images        labels in the file of the same name, images-idx3 -> labels-idx1
 *   CIFAR's .bin batches         names from batches.meta.txt or fine_label_names.txt beside them
 *   a folder without folders     that holds one list, one IDX file of images, tar files or batches
 * Not labelled, folders are searched at any depth, and any other file is one image, unless it is
 * one of the files above; one of those that breaks off is a failed image, and the rest go on.
 * Hidden files, Thumbs.db and desktop.ini are left out; symbolic links are followed, never into a
 * circle; what is named as an image is one only if its bytes are. What looks wrong but can be used
 * is a warning: class folders without a file, files beside class folders, a single class.
 *
 * Several paths are one set when they are of one kind; else VITC_ERR_ARGUMENT. Failures: VITC_ERR_
 * UNREADABLE, VITC_ERR_CORRUPT and VITC_ERR_TRUNCATED (lists, IDX), VITC_ERR_TOO_LARGE (a line of
 * .jsonl of more values or deeper than vitc_json reads), VITC_ERR_UNSUPPORTED (no dataset: the
 * message says what was found and what is wanted), VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status datasets_open(datasets_set **set, const char *const *paths,
                                                   size_t count, const datasets_options *options,
                                                   const vitc_log *log);
VITC_API void datasets_close(datasets_set *set);

VITC_API datasets_kind datasets_set_kind(const datasets_set *set);

/* The classes known so far, in the order of their first appearance: for folders, lists, IDX, CIFAR
 * and plain tar files all of them from the start; for compressed tar files, and for a folder to
 * which one is added meanwhile, as they come. Names live as long as the set; both may be asked for
 * in any thread. */
VITC_API size_t datasets_class_count(const datasets_set *set);
VITC_API const char *datasets_class_name(const datasets_set *set, size_t label);

/* What a walk over the whole set finds without reading an image. */
typedef struct datasets_survey {
    uint64_t images;      /* of the chosen part; 0 with `counted` false */
    uint64_t strays;      /* files in class folders that are no pictures, of all parts */
    bool counted;         /* false: compressed or piped, only reading it all would tell */
    char fingerprint[65]; /* SHA-256 of kind, part, names and labels in order (for compressed files:
                             of their names, sizes and last bytes, gzip's checksum) */
} datasets_survey;

/* `progress` NULL, or called now and then with the images found so far; false ends the walk with
 * VITC_ERR_ARGUMENT. The set is not moved, and nothing is said of what datasets_next will tell: a
 * set that cannot be read to its end is counted as far as it can be. */
VITC_API VITC_MUST_CHECK vitc_status datasets_survey_set(datasets_survey *survey, datasets_set *set,
                                                         bool (*progress)(void *user,
                                                                          uint64_t images),
                                                         void *user, const vitc_log *log);

enum { DATASETS_UNLABELLED = -1 };

/* One image. Of `file`, `bytes` and `image` exactly one is set when status is VITC_OK. */
typedef struct datasets_item {
    uint64_t index;       /* in the chosen part, from 0 */
    char *path;           /* names it: "data/cat/1.jpg", "a.tar/cat/1.jpg", "t10k-images.gz#17" */
    int64_t label;        /* a class of the set, or DATASETS_UNLABELLED */
    vitc_status status;   /* not VITC_OK: it failed while it was looked for */
    char *error;          /* and this is why; else NULL */
    char *file;           /* yet to be read */
    unsigned char *bytes; /* an image file's bytes */
    size_t size;
    imgio_image image; /* pixels: IDX, CIFAR */
} datasets_item;

/* The next image that is wanted; *end, with *item empty, after the last. A bad member of a set is
 * an item with a status. A set that cannot be read any further (a tar file cut short, a bad
 * checksum) gives what it can and then fails: what was read before stands. The caller frees the
 * item. */
VITC_API VITC_MUST_CHECK vitc_status datasets_next(datasets_item *item, bool *end,
                                                   datasets_set *set, const vitc_log *log);
/* Looks ahead, once and before anything is read: up to `count` images, of which none comes after
 * the first that had to be read to be found. datasets_next gives them all again; until it is called
 * the *found items are there to be looked at. *end: there are no others. */
VITC_API VITC_MUST_CHECK vitc_status datasets_peek(const datasets_item **items, size_t *found,
                                                   bool *end, datasets_set *set, size_t count,
                                                   const vitc_log *log);
/* Replaces `file` by `bytes`; a failure goes into the item's status and error. */
VITC_API void datasets_item_read(datasets_item *item, size_t max_file_size);
VITC_API void datasets_item_free(datasets_item *item);

/* ---- the loader ---- */

/* Where the time of a run went, in seconds summed over all threads. */
typedef struct datasets_times {
    double list, read;  /* finding images; reading their bytes */
    double work;        /* in the work function */
    double wait_input;  /* workers with nothing to do: reading was the bottleneck */
    double wait_output; /* workers that could not go on: the receiver was */
    double deliver;     /* in the receiver */
    double wall;
} datasets_times;

/* One image on its way; `result` is result_size bytes of the caller's, zeroed for each image. */
typedef struct datasets_slot {
    datasets_item item;
    void *result;
    double read_seconds;
} datasets_slot;

typedef struct datasets_loader {
    int workers;       /* threads that call `work`: the CPUs that may be used, over what it uses */
    int readers;       /* threads that wait for storage; 0 chooses */
    size_t batch;      /* most images per call of `work` */
    size_t max_images; /* held at once; 0 chooses from workers and batch */
    size_t max_bytes;  /* when so much of image files and pixels is held, only the image that is
                          next to be delivered is still read; 0 chooses from workers */
    size_t max_file_size; /* bytes of one image file; 0: imgio's default limit */
    size_t result_size;
    /* Called by worker number `worker` with up to `batch` images that follow each other in the set,
     * read or failed. Anything but VITC_OK ends the run: a bad image is not a reason. */
    vitc_status (*work)(void *user, int worker, datasets_slot *const *slots, size_t count,
                        const vitc_log *log);
    /* Called in the thread that called datasets_load, image by image in the set's order. */
    vitc_status (*deliver)(void *user, datasets_slot *slot, const vitc_log *log);
    void *user;
    /* NULL, or asked now and then, by any of the threads: once true nothing further is begun, and
     * the run ends well when what was begun is delivered. */
    bool (*stop)(void *user);
} datasets_loader;

/* Runs all images of a set, from where it stands, through `work` and `deliver`. The order of
 * deliveries is that of the set whatever the threads do. Memory does not depend on the size of the
 * set. When `work`, `deliver` or the set fails the run ends with that status; what comes before the
 * failing image has been delivered. `times` may be NULL. */
VITC_API VITC_MUST_CHECK vitc_status datasets_load(datasets_set *set, const datasets_loader *loader,
                                                   datasets_times *times, const vitc_log *log);

/* ---- augmentation ----
 *
 * Another picture of the same thing, in every epoch. All choices are random numbers by counting,
 * keyed by (seed, epoch, index): any image of any epoch can be made by itself, in any thread, and
 * is the same to the bit on every machine. The operations are Pillow's, in its 8-bit arithmetic;
 * what is chosen follows torchvision where it has the same thing. */

typedef enum datasets_crop {
    DATASETS_CROP_NONE = 0, /* the whole picture, resized to width x height */
    DATASETS_CROP_RESIZED,  /* a rectangle of random size, shape and place, resized: Inception's
                               crop (arXiv 1409.4842), torchvision's RandomResizedCrop */
    DATASETS_CROP_PADDED    /* `pad` pixels are added on each side, and a rectangle of the
                               picture's own size is cut at a random place; then resized. The
                               usual one for CIFAR (arXiv 1409.5185) */
} datasets_crop;

typedef enum datasets_policy {
    DATASETS_POLICY_NONE = 0,
    DATASETS_POLICY_RANDAUGMENT, /* `policy_operations` of 14, all of one strength (arXiv
                                    1909.13719), with torchvision's operations and strengths */
    DATASETS_POLICY_CIFAR10      /* one of the 25 pairs that AutoAugment found for CIFAR-10 (arXiv
                                    1805.09501, table 7) */
} datasets_policy;

/* What is done, in this order; what has a probability of 0 is not done. */
typedef struct datasets_augmentation {
    uint32_t width, height; /* pixels of the result, 1-4096 */

    datasets_crop crop;
    double crop_scale[2]; /* RESIZED: share of the area, 0.08-1 */
    double crop_ratio[2]; /* RESIZED: width / height, drawn by its logarithm, 3/4-4/3 */
    uint32_t pad;     /* PADDED: pixels of the source, or of the result where those are larger; 4 */
    bool pad_reflect; /* PADDED: the picture mirrored at its edge, instead of `fill` */
    imgio_filter filter; /* bicubic */
    bool any_filter;     /* instead, one of Pillow's five that see all pixels, by chance */

    double flip; /* probability that left and right are exchanged */

    /* Of what the eye takes for the same picture photos hold more or less detail than a training
     * set does. Probabilities, and how far it goes: */
    double soften, soften_scale; /* shrunk by a factor from soften_scale (0.25) to 1, drawn by its
                                    logarithm, and enlarged again, each by any filter */
    double blur, blur_sigma[2];  /* Gaussian; standard deviation in pixels, 0.1-2 */
    double sharpen,
        sharpen_most; /* Pillow's Sharpness by a factor from 1 to 1 + sharpen_most (2) */

    /* Colour jitter, in random order: factors from 1 - x (at least 0) to 1 + x; hue is turned by
     * -x to x of a full circle, x <= 0.5. 0: none. */
    double brightness, contrast, saturation, hue;

    datasets_policy policy;
    uint32_t policy_operations;     /* RANDAUGMENT: N, 2 */
    double policy_magnitude;        /* RANDAUGMENT: M, 0-30, 9 */
    bool policy_bilinear;           /* how shears, shifts and rotations sample; false: nearest */
    uint8_t fill[PATCHES_CHANNELS]; /* RGB of pixels from beyond the picture, 0 */

    /* Random erasing (arXiv 1708.04896), on normalized rows: see datasets_erase_rows. */
    double erase;
    double erase_scale[2]; /* share of the area, 0.02-1/3 */
    double erase_ratio[2]; /* height / width, drawn by its logarithm, 0.3-1/0.3 */
    bool erase_noise;      /* normal noise of deviation 1, a number for each pixel and channel;
                              false: 0, which is the mean */
} datasets_augmentation;

/* Nothing but a resize, by bicubic; all else has the numbers above and only needs its probability,
 * kind or strength. */
VITC_API datasets_augmentation datasets_augmentation_default(uint32_t width, uint32_t height);

/* VITC_ERR_ARGUMENT, naming the field, for what is beyond its range. */
VITC_API VITC_MUST_CHECK vitc_status
datasets_augmentation_check(const datasets_augmentation *augmentation, const vitc_log *log);

/* The picture that is trained on, width x height, created here; `in` is left as it is. `epoch` <
 * 2^24; `index` is the image's own number, whatever the order it comes in. VITC_ERR_MEMORY;
 * VITC_ERR_ARGUMENT when `in` is empty. The augmentation must pass the check. */
VITC_API VITC_MUST_CHECK vitc_status datasets_augment_image(
    imgio_image *out, const imgio_image *in, const datasets_augmentation *augmentation,
    uint64_t seed, uint32_t epoch, uint64_t index, const vitc_log *log);

/* How one image lies in memory after patches_extract_image. */
typedef struct datasets_rows {
    uint32_t grid_height, grid_width, patch; /* Gh, Gw, P */
    size_t row_stride;                       /* floats, >= 3 * P * P */
} datasets_rows;

/* Erases one rectangle, with probability `erase`. */
VITC_API void datasets_erase_rows(float *rows, const datasets_rows *layout,
                                  const datasets_augmentation *augmentation, uint64_t seed,
                                  uint32_t epoch, uint64_t index);

/* What the loss compares with: 1 - smoothing + smoothing / classes for the label, smoothing /
 * classes for the others (arXiv 1512.00567). label < classes, 0 <= smoothing < 1. */
VITC_API void datasets_targets_fill(float *targets, uint32_t classes, uint32_t label,
                                    double smoothing);

/* Mixing two images and their targets, each pair by chances of its own. A pair is either blended,
 * a' = l a + (1 - l) b and b' the other way round (mixup, arXiv 1710.09412), or exchanges a
 * rectangle, l being the share of the area that is left (CutMix, arXiv 1905.04899); l is drawn from
 * Beta(x, x). */
typedef struct datasets_mixing {
    double mixup, cutmix; /* x, 0.8 and 1; 0: never */
    double probability;   /* that a pair is mixed, 1 */
    double cut;           /* of CutMix rather than mixup where both are not 0, 0.5 */
} datasets_mixing;

VITC_API datasets_mixing datasets_mixing_default(void); /* DeiT's, which are those above */
/* VITC_ERR_ARGUMENT, naming the field: negative or not finite, probabilities above 1. */
VITC_API VITC_MUST_CHECK vitc_status datasets_mixing_check(const datasets_mixing *mixing,
                                                           const vitc_log *log);

/* Pairs are best neighbours in an epoch's order, image 2 p and 2 p + 1 with `pair` = p: then the
 * result does not depend on how the epoch is cut into batches and spread over machines. */
VITC_API void datasets_mix_pair(float *rows_a, float *rows_b, float *targets_a, float *targets_b,
                                const datasets_rows *layout, uint32_t classes,
                                const datasets_mixing *mixing, uint64_t seed, uint32_t epoch,
                                uint64_t pair);

/* The order of an epoch: order[i] is the index of the image that comes i-th, each of 0 ... n - 1
 * once; n < 2^32. */
VITC_API void datasets_shuffle(uint32_t *order, size_t n, uint64_t seed, uint32_t epoch);

/* ---- sets at random access, and batches to train on ---- */

/* All images of a set, which any thread may ask for in any order. Of folders, lists and plain tar
 * files their places are kept (a name, or an offset); what can only be read from its beginning
 * (compressed tar files) is kept in memory, as are IDX and CIFAR files' pixels. */
typedef struct datasets_index datasets_index;

/* Walks the set, as datasets_open opens it labelled, to its end. Images without a label, and those
 * that cannot even be found (datasets_item.status), are left out and counted in *bad with a warning
 * for each of the first few; classes are those of the whole set, whatever the part.
 * `progress` as for datasets_survey_set. max_memory: bytes that may be kept, 0: half of what this
 * machine has; beyond it VITC_ERR_MEMORY, which says what to do. An image takes its path and 32
 * bytes. Failures as for datasets_open and datasets_next; a set that breaks off is no index. */
VITC_API VITC_MUST_CHECK vitc_status datasets_index_create(
    datasets_index **index, const char *const *paths, size_t count, const datasets_options *options,
    size_t max_memory, uint64_t *bad, bool (*progress)(void *user, uint64_t images), void *user,
    const vitc_log *log);
VITC_API void datasets_index_free(datasets_index *index);

VITC_API size_t datasets_index_count(const datasets_index *index);
VITC_API size_t datasets_index_classes(const datasets_index *index);
VITC_API const char *datasets_index_class(const datasets_index *index, size_t label);
VITC_API uint32_t datasets_index_label(const datasets_index *index, size_t image);
/* As datasets_item.path, malloc'd; NULL without memory. */
VITC_API char *datasets_index_path(const datasets_index *index, size_t image);
/* As datasets_survey.fingerprint, of the images that the index has. */
VITC_API const char *datasets_index_fingerprint(const datasets_index *index);

/* The upright picture; VITC_ERR_* of reading and decoding, whose message names the image. */
VITC_API VITC_MUST_CHECK vitc_status datasets_index_image(imgio_image *image,
                                                          const datasets_index *index, size_t which,
                                                          const imgio_decode_options *decode,
                                                          const vitc_log *log);

/* What training sees of an index. */
typedef struct datasets_feed_options {
    datasets_augmentation augmentation; /* of the model's image size */
    datasets_mixing mixing;
    double smoothing;
    uint64_t seed;
    uint32_t patch;          /* P, which divides both sides */
    uint32_t classes;        /* K, of the model; labels of the index are below it */
    patches_spec preprocess; /* of which the mean, std, rescale and channel order are followed */
    imgio_decode_options decode; /* `fast` without a least size: the feed chooses one that leaves no
                                    crop smaller than the result; not used with CROP_PADDED, which
                                    counts pixels of the source */
    int threads;                 /* OpenMP's, best as many as the trainer has; 0 chooses */
} datasets_feed_options;

typedef struct datasets_feed datasets_feed;

/* `index` must live as long. VITC_ERR_ARGUMENT, naming the field; VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status datasets_feed_create(datasets_feed **feed,
                                                          const datasets_index *index,
                                                          const datasets_feed_options *options,
                                                          const vitc_log *log);
VITC_API void datasets_feed_free(datasets_feed *feed);

/* Images number `from` to `from` + count - 1 of an epoch's order (datasets_shuffle), augmented,
 * normalized and cut into rows, and their targets: image b's rows start at rows + b * image_stride
 * (floats; Gh*Gw * C*P*P are written), its targets at targets + b * K. `from` is even, and so is
 * `count` unless the epoch ends: pairs that are mixed stay together. The same (seed, epoch, number)
 * gives the same bits whatever the batch and the threads. What storage will be asked for next is
 * told to the operating system.
 *
 * An image that cannot be decoded is replaced by another of its class, drawn anew in each epoch, or
 * of any class where its own has none, with a warning the first time (not for more than some), and
 * counted (datasets_feed_bad); where none can: its status. What stands in for it is augmented by
 * its random numbers. VITC_ERR_ARGUMENT, VITC_ERR_MEMORY: nothing in rows and targets is of use
 * then. One thread calls at a time. */
VITC_API VITC_MUST_CHECK vitc_status datasets_feed_batch(datasets_feed *feed, float *rows,
                                                         size_t image_stride, float *targets,
                                                         uint32_t epoch, uint64_t from,
                                                         uint32_t count, const vitc_log *log);
/* How many images of the index could not be used so far. */
VITC_API uint64_t datasets_feed_bad(const datasets_feed *feed);
VITC_API bool datasets_feed_is_bad(const datasets_feed *feed, size_t image);
/* Whether batches from now on are mixed, as options.mixing says, or not at all; a new feed mixes.
 */
VITC_API void datasets_feed_mix(datasets_feed *feed, bool mixed);
/* The batch that datasets_feed_batch would give, as `count` pictures for people to look at: erased
 * and mixed as it is, each pixel rounded to 8 bits. targets[count][K] as there. Each picture is to
 * be freed with imgio_image_free; after a failure there is none. */
VITC_API VITC_MUST_CHECK vitc_status datasets_feed_pictures(imgio_image *images, float *targets,
                                                            datasets_feed *feed, uint32_t epoch,
                                                            uint64_t from, uint32_t count,
                                                            const vitc_log *log);

/* ---- what is measured ---- */

/* How a classifier's scores follow from its logits z. */
typedef struct datasets_scoring {
    bool independent;   /* each class for itself, sigmoid(z / T); false: softmax(z / T) */
    double temperature; /* T > 0; 1 for none */
} datasets_scoring;

/* What a classifier said of one image, as far as the measures need it; fixed numbers, so that the
 * same answers in the same order give the same measures to the last bit. */
typedef struct datasets_answer {
    uint32_t label;      /* the true class, of the model's */
    uint32_t prediction; /* the class with the highest score */
    uint32_t rank;       /* of the true class among the scores: 1 = predicted */
    double confidence;   /* the highest score */
    double nll;          /* -log probability of the truth. Softmax: of the true class. Independent
                            scores: of a yes for the true class and a no for every other, the sum
                            of the classes' binary cross-entropies */
    double brier;        /* sum over classes of (score - truth)^2: 0-2, 0-K where independent */
} datasets_answer;

/* From logits[classes] and scores[classes] of one image, label < classes; order and ties by score
 * as vit_top_k has them: lower index first. The loss comes from the logits, in double, because a
 * score may be too small for a float. */
VITC_API datasets_answer datasets_answer_make(uint32_t label, const float *logits,
                                              const float *scores, uint32_t classes,
                                              const datasets_scoring *scoring);

typedef struct datasets_interval {
    double low, high;
} datasets_interval;

/* Wilson's 95 % interval of `hits` (<= n) of `n`: z = 1.959964; 0-1 for n = 0. */
VITC_API datasets_interval datasets_wilson(uint64_t hits, uint64_t n);

enum { DATASETS_BINS = 15 }; /* of the reliability curve */

/* Bin b holds confidences in (b / 15, (b + 1) / 15]; the first one 0 too. */
typedef struct datasets_bin {
    uint64_t n, right;
    double confidence; /* sum */
    double variance;   /* sum of c (1 - c): of a calibrated classifier */
} datasets_bin;

typedef struct datasets_class_result {
    uint64_t support, predicted, right; /* images of the class; so predicted; both */
    double precision, recall, f1;       /* NaN where 0/0; f1 = 2 right / (support + predicted) */
    datasets_interval recall_interval;
} datasets_class_result;

typedef struct datasets_confusion {
    uint32_t label, prediction;
    uint64_t n;
} datasets_confusion;

typedef struct datasets_results {
    uint64_t n, right, right5;      /* top-5: rank <= 5, so all of them with up to 5 classes */
    double top1, top5, loss, brier; /* means; these and all below are NaN for n = 0 */
    datasets_interval top1_interval, top5_interval;
    double balanced, macro_f1;  /* mean recall and F1 of the classes that have images */
    double ece, ece_calibrated; /* measured; what perfect calibration would show at this n */
    double ece2_debiased;       /* squared, l2 (Kumar 2019, arXiv 1909.10155); may be below 0 */
    double mean_confidence;
    datasets_bin bins[DATASETS_BINS];
} datasets_results;

/* Takes 24 bytes for each class, and up to 64 for each pair of classes that was confused: never
 * K * K. The order of adding decides the last bits of the sums, and nothing else does. */
typedef struct datasets_metrics datasets_metrics;

VITC_API VITC_MUST_CHECK vitc_status datasets_metrics_create(datasets_metrics **metrics,
                                                             uint32_t classes, const vitc_log *log);
VITC_API void datasets_metrics_free(datasets_metrics *metrics);
/* VITC_ERR_ARGUMENT for a label, prediction or rank beyond the classes, VITC_ERR_MEMORY: nothing is
 * counted then. */
VITC_API VITC_MUST_CHECK vitc_status datasets_metrics_add(datasets_metrics *metrics,
                                                          const datasets_answer *answer,
                                                          const vitc_log *log);
VITC_API datasets_results datasets_metrics_results(const datasets_metrics *metrics);
/* Of one class, label < classes; the same holds below. */
VITC_API datasets_class_result datasets_metrics_class(const datasets_metrics *metrics,
                                                      uint32_t label);
/* How often `label` was taken for `prediction`; how often it was right where they are the same. */
VITC_API uint64_t datasets_metrics_confusion(const datasets_metrics *metrics, uint32_t label,
                                             uint32_t prediction);
/* The up to `count` pairs of different classes most often confused, most first (ties by label, then
 * prediction); returns how many there are in all. */
VITC_API size_t datasets_metrics_confused(const datasets_metrics *metrics,
                                          datasets_confusion *pairs, size_t count);

/* McNemar's exact test, two-sided: of the images on which two classifiers differ `b` were right by
 * the one and `c` by the other. */
VITC_API double datasets_mcnemar(uint64_t b, uint64_t c);

/* ---- calibration ---- */

typedef struct datasets_temperature {
    double temperature; /* divides the logits, instead of the one of `scoring` */
    double nll_before;  /* mean, at scoring's temperature */
    double nll_after;   /* and at this one */
    bool at_limit;      /* the best one is outside of the limits, as when every image is right by a
                           margin, and was clamped; or the loss does not depend on it at all: 1 */
} datasets_temperature;

/* The temperature that minimizes the mean negative log-likelihood (Guo 2017, arXiv 1706.04599), by
 * safeguarded Newton steps in 1/T within [1e-3, 1e3]. logits[n][classes], n > 0, all finite, labels
 * < classes; else VITC_ERR_ARGUMENT. Some passes over the logits, and no memory. */
VITC_API VITC_MUST_CHECK vitc_status datasets_temperature_fit(
    datasets_temperature *fit, const float *logits, const uint32_t *labels, size_t n,
    uint32_t classes, const datasets_scoring *scoring, const vitc_log *log);

/* ---- likeness ---- */

/* Hashes of an image's looks, equal to the Python package imagehash's dhash and phash (hash_size 8)
 * bit for bit, the first bit the highest: images that look alike differ in few bits. Images that
 * show next to nothing have hashes alike too. Only where coefficients of phash are equal but for
 * rounding (one colour, symmetry) its bits are this function's own. VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status datasets_hash_difference(uint64_t *hash,
                                                              const imgio_image *image,
                                                              const vitc_log *log);
VITC_API VITC_MUST_CHECK vitc_status datasets_hash_frequency(uint64_t *hash,
                                                             const imgio_image *image,
                                                             const vitc_log *log);

typedef struct datasets_pair {
    size_t a, b;       /* a < b */
    unsigned distance; /* bits */
} datasets_pair;

/* All pairs of hashes within `distance` bits, in order of a, then b; malloc'd, NULL for none. At
 * most `limit` pairs, the first ones, *more telling that there are others. Time is near linear
 * where few are alike: 60,000 hashes of photographs within 10 bits take less than a second. 48
 * bytes a hash while it runs, and 24 a pair. VITC_ERR_MEMORY, VITC_ERR_TOO_LARGE. */
VITC_API VITC_MUST_CHECK vitc_status datasets_pairs_find(datasets_pair **pairs, size_t *count,
                                                         bool *more, const uint64_t *hashes,
                                                         size_t hash_count, unsigned distance,
                                                         size_t limit, const vitc_log *log);

#ifdef __cplusplus
}
#endif
#endif
