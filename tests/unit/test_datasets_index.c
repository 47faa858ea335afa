/* Sets at random access: the same images as a walk gives, from wherever they lie. */
#include "test_datasets_pictures.h"
#include "test_malloc_fail.h"
#include "vitc_log.h"

static datasets_index *make_index(const char *path, const datasets_options *options,
                                  size_t max_memory, uint64_t *bad, const vitc_log *log)
{
    datasets_index *index;
    const vitc_status status =
        datasets_index_create(&index, &path, 1, options, max_memory, bad, NULL, NULL, log);
    assert_true((status == VITC_OK) == (index != NULL));
    return index;
}

/* ---- an index against a walk ---- */

/* The picture of an item; VITC_OK only when there is one. */
static vitc_status decode_item(imgio_image *image, datasets_item *item)
{
    *image = (imgio_image){0};
    datasets_item_read(item, 0);
    if (item->status != VITC_OK) return item->status;
    if (item->image.pixels == NULL)
        return imgio_decode_memory(image, item->bytes, item->size, item->path, NULL, NULL);
    *image = item->image;
    item->image = (imgio_image){0};
    return VITC_OK;
}

static void assert_image(const datasets_index *index, size_t i, const datasets_set *set,
                         datasets_item *item)
{
    imgio_image expected, image;
    char *path = datasets_index_path(index, i);
    assert_string_equal(path, item->path);
    assert_string_equal(datasets_index_class(index, datasets_index_label(index, i)),
                        datasets_class_name(set, (size_t)item->label));
    const vitc_status status = decode_item(&expected, item);
    assert_int_equal(datasets_index_image(&image, index, i, NULL, NULL), status);
    if (status == VITC_OK) assert_true(picture_equal(&image, &expected));
    imgio_image_free(&expected);
    imgio_image_free(&image);
    free(path);
}

/* Compares an index with what datasets_next gives; returns how many images it has. */
static size_t assert_as_walked(const datasets_index *index, uint64_t bad, const char *path,
                               const datasets_options *options)
{
    datasets_set *set;
    datasets_survey survey;
    uint64_t failed = 0;
    size_t count = 0;
    assert_int_equal(datasets_open(&set, &path, 1, options, NULL), VITC_OK);
    for (;;) {
        datasets_item item;
        bool end;
        assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
        if (end) break;
        if (item.status == VITC_OK)
            assert_image(index, count++, set, &item);
        else
            failed++;
        datasets_item_free(&item);
    }
    assert_int_equal(datasets_index_count(index), count);
    assert_int_equal(bad, failed);
    assert_int_equal(datasets_index_classes(index), datasets_class_count(set));
    for (size_t i = 0; i < datasets_class_count(set); i++)
        assert_string_equal(datasets_index_class(index, i), datasets_class_name(set, i));
    assert_int_equal(datasets_survey_set(&survey, set, NULL, NULL, NULL), VITC_OK);
    if (survey.counted)
        assert_true((strcmp(datasets_index_fingerprint(index), survey.fingerprint) == 0) ==
                    (bad == 0));
    datasets_close(set);
    return count;
}

static size_t check_path(const char *path, const datasets_options *options)
{
    uint64_t bad;
    datasets_index *index = make_index(path, options, 0, &bad, NULL);
    assert_non_null(index);
    const size_t count = assert_as_walked(index, bad, path, options);
    assert_int_equal(strlen(datasets_index_fingerprint(index)), 64);
    datasets_index_free(index);
    return count;
}

static size_t check_set(const char *path)
{
    const datasets_options options = datasets_options_default();
    return check_path(path, &options);
}

/* ---- every kind of set ---- */

static void put_folders(const char *folder, size_t classes, size_t each)
{
    char path[128];
    for (size_t c = 0; c < classes; c++)
        for (size_t i = 0; i < each; i++) {
            snprintf(path, sizeof path, "%s/class%zu/%zu.png", folder, c, i);
            picture_put(path, c * each + i);
        }
}

static void folders(void **state)
{
    (void)state;
    put_folders("set", 3, 4);
    assert_int_equal(check_set("set"), 12);
    /* A file that is no image is only known by decoding it. */
    put("set/class1/text.jpg", "no picture");
    assert_int_equal(check_set("set"), 13);
    /* What cannot even be found is left out. */
    assert_int_equal(symlink("nowhere", "set/class2/link.png"), 0);
    assert_int_equal(check_set("set"), 13);
}

static void lists(void **state)
{
    (void)state;
    put_folders("files", 2, 3);
    put("list.csv", "path,label\nfiles/class1/2.png,dog\nfiles/class0/0.png,cat\n"
                    "files/class0/1.png,dog\nfiles/class1/gone.png,cat\n");
    assert_int_equal(check_set("list.csv"), 4);
}

static void add_class_folders(bytes *tar)
{
    char name[300];
    for (size_t i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "%s/class%zu/%zu.png", i % 2 != 0 ? "train" : "./x", i % 3, i);
        picture_add(tar, name, i);
    }
    tar_add_header(tar, &(tar_header){.name = "train/class1/", .type = '5'});
    tar_add_header(tar,
                   &(tar_header){.name = "train/class1/link.png", .type = '2', .link = "1.png"});
    /* A name of its own block, and one in pax records. */
    memset(name, 'n', 200);
    memcpy(name, "class2/", 7);
    strcpy(name + 200, ".png");
    tar_add_header(tar, &(tar_header){.name = "././@LongLink", .size = 205, .type = 'L'});
    tar_add_data(tar, name, 205);
    picture_add(tar, "short", 100);
    const char pax[] = "25 path=class1/renamed.p\n";
    tar_add_header(tar, &(tar_header){.name = "pax", .size = strlen(pax), .type = 'x'});
    tar_add_data(tar, pax, strlen(pax));
    picture_add(tar, "other/name", 101);
    picture_add(tar, "outside.png", 102);
}

static void tars_of_class_folders(void **state)
{
    (void)state;
    static const char *const names[] = {"set.tar", "set.tar.gz"};
    for (size_t i = 0; i < 2; i++) {
        bytes tar = {0};
        add_class_folders(&tar);
        put_tar(names[i], &tar);
        assert_int_equal(check_set(names[i]), 62);
    }
}

static void add_pairs(bytes *tar, size_t from, size_t count)
{
    char name[64], text[64];
    for (size_t i = from; i < from + count; i++) {
        const bool json = i % 3 == 0, label_first = i % 2 == 0;
        snprintf(text, sizeof text, json ? "{\"label\": \"c%zu\"}" : "c%zu\n", i % 4);
        for (int part = 0; part < 2; part++) {
            snprintf(name, sizeof name, "%06zu.%s", i,
                     (part == 0) != label_first ? "png"
                     : json                     ? "json"
                                                : "cls");
            if ((part == 0) != label_first)
                picture_add(tar, name, i);
            else
                tar_add(tar, name, text);
        }
        snprintf(name, sizeof name, "%06zu.txt", i);
        tar_add(tar, name, "what it shows");
    }
}

static void two_tars_in_one_file(void **state)
{
    (void)state;
    bytes tar = {0};
    add_pairs(&tar, 0, 3);
    tar_add_end(&tar);
    add_pairs(&tar, 3, 4);
    put_tar("joined.tar", &tar);
    assert_int_equal(check_set("joined.tar"), 7);
}

static void shards_of_pairs(void **state)
{
    (void)state;
    static const char *const endings[] = {"tar", "tar.gz"};
    for (size_t e = 0; e < 2; e++) {
        char name[64];
        for (size_t shard = 0; shard < 3; shard++) {
            bytes tar = {0};
            add_pairs(&tar, 20 * shard, 20);
            if (shard == 1) picture_add(&tar, "lonely.png", 200);
            snprintf(name, sizeof name, "shard-%02zu.%s", shard, endings[e]);
            put_tar(name, &tar);
        }
        snprintf(name, sizeof name, "shard-{00..02}.%s", endings[e]);
        assert_int_equal(check_set(name), 60);
    }
}

/* A picture in PPM's format of which bytes 512 to 1023 are zeros, as GNU's tar packs it: without
 * them, and what is there stands in a map in the header. */
static void add_with_hole(bytes *tar, const char *name)
{
    enum { MAGIC = 257, MAP = 386, REAL_SIZE = 483, HOLE = 512, PIXELS = 32 * 16 * 3 };
    bytes all = {0};
    bytes_add(&all, "P6 32 16 255\n", 13);
    for (size_t i = 0; i < PIXELS; i++) bytes_add(&all, &(uint8_t){(uint8_t)(i | 1)}, 1);
    const size_t behind = all.size - (size_t)(2 * HOLE);
    const size_t map[] = {0, HOLE, (size_t)(2 * HOLE), behind};
    tar_add_header(tar, &(tar_header){.name = name, .size = HOLE + behind, .type = 'S'});
    unsigned char *header = tar->data + tar->size - TAR_BLOCK;
    memcpy(header + MAGIC, "ustar  ", 8);
    for (size_t i = 0; i < 4; i++) snprintf((char *)header + MAP + 12 * i, 12, "%011zo", map[i]);
    snprintf((char *)header + REAL_SIZE, 12, "%011zo", all.size);
    tar_sum(header);
    bytes_add(tar, all.data, HOLE);
    tar_add_data(tar, all.data + (size_t)(2 * HOLE), behind);
    bytes_free(&all);
}

static void members_with_holes(void **state)
{
    (void)state;
    bytes tar = {0};
    add_pairs(&tar, 0, 2);
    add_with_hole(&tar, "3.ppm");
    tar_add(&tar, "3.cls", "c1");
    put_tar("holes.tar", &tar);
    assert_int_equal(check_set("holes.tar"), 3);
    /* And it is a picture. */
    datasets_index *index;
    const datasets_options options = datasets_options_default();
    uint64_t bad;
    imgio_image image;
    index = make_index("holes.tar", &options, 0, &bad, NULL);
    assert_int_equal(datasets_index_image(&image, index, 2, NULL, NULL), VITC_OK);
    assert_int_equal(image.pixels[0], 1);
    assert_int_equal(image.pixels[600 - 13], 0);
    assert_int_equal(image.pixels[1024 - 13], (1024 - 13) & 0xFF);
    imgio_image_free(&image);
    datasets_index_free(index);
}

static void put_idx(const char *images, const char *labels, uint32_t count)
{
    const unsigned char images_header[] = {0, 0, 8, 3, 0, 0, 0, (unsigned char)count,
                                           0, 0, 0, 5, 0, 0, 0, 7};
    const unsigned char labels_header[] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)count};
    bytes all = {0};
    bytes_add(&all, images_header, sizeof images_header);
    for (uint32_t i = 0; i < count * 35; i++) bytes_add(&all, &(uint8_t){(uint8_t)(i * 11)}, 1);
    if (datasets_names_ends(images, ".gz"))
        put_gzip(images, all.data, all.size);
    else
        put_bytes(images, all.data, all.size);
    all.size = 0;
    bytes_add(&all, labels_header, sizeof labels_header);
    for (uint32_t i = 0; i < count; i++) bytes_add(&all, &(uint8_t){(uint8_t)(i % 3)}, 1);
    put_bytes(labels, all.data, all.size);
    bytes_free(&all);
}

/* What lies behind more than 4 GiB; the large member itself is beyond the limit of an image file.
 */
static void tars_may_be_large(void **state)
{
    (void)state;
    const unsigned long long large = 5ULL << 30;
    const datasets_options options = datasets_options_default();
    const char *path = "large.tar";
    bytes tar = {0};
    imgio_image image, expected;
    uint64_t bad;
    picture_add(&tar, "cat/1.png", 1);
    tar_add_header(&tar, &(tar_header){.name = "cat/large.png", .size = large, .type = '0'});
    const size_t before = tar.size;
    picture_add(&tar, "dog/2.png", 2);
    tar_add_end(&tar);
    put_bytes(path, tar.data, before);
    FILE *stream = fopen(path, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseeko(stream, (off_t)(before + large), SEEK_SET), 0);
    assert_int_equal(fwrite(tar.data + before, 1, tar.size - before, stream), tar.size - before);
    assert_int_equal(fclose(stream), 0);
    bytes_free(&tar);
    datasets_index *index = make_index(path, &options, 0, &bad, NULL);
    assert_int_equal(datasets_index_count(index), 2);
    assert_int_equal(bad, 1);
    assert_int_equal(datasets_index_image(&image, index, 1, NULL, NULL), VITC_OK);
    picture_make(&expected, 2);
    assert_true(picture_equal(&image, &expected));
    imgio_image_free(&image);
    imgio_image_free(&expected);
    datasets_index_free(index);
}

static void idx_files(void **state)
{
    (void)state;
    put_idx("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 9);
    put_idx("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte", 7);
    assert_int_equal(check_set("train-images-idx3-ubyte"), 9);
    assert_int_equal(check_set("t10k-images-idx3-ubyte.gz"), 7);
}

static void cifar_batches(void **state)
{
    (void)state;
    enum { COUNT = 12, RECORD = 1 + 3 * 1024 };
    bytes all = {0};
    for (size_t n = 0; n < COUNT; n++) {
        bytes_add(&all, &(uint8_t){(uint8_t)(n % 10)}, 1);
        for (size_t i = 0; i < RECORD - 1; i++)
            bytes_add(&all, &(uint8_t){(uint8_t)(n * 7 + i * 3)}, 1);
    }
    put_bytes("data_batch_1.bin", all.data, all.size);
    bytes_free(&all);
    assert_int_equal(check_set("data_batch_1.bin"), COUNT);
}

/* ---- parts ---- */

static void assert_parts(const char *path, size_t count)
{
    static const datasets_part parts[] = {DATASETS_CHOSEN, DATASETS_REST};
    datasets_options options = datasets_options_default();
    uint64_t bad;
    datasets_index *whole = make_index(path, &options, 0, &bad, NULL), *part[2];
    assert_int_equal(datasets_index_count(whole), count);
    options.fraction = 0.25;
    options.seed = 5;
    for (int i = 0; i < 2; i++) {
        options.part = parts[i];
        part[i] = make_index(path, &options, 0, &bad, NULL);
        assert_as_walked(part[i], bad, path, &options);
        /* Classes are those of the whole set. */
        assert_int_equal(datasets_index_classes(part[i]), datasets_index_classes(whole));
        for (size_t c = 0; c < datasets_index_classes(whole); c++)
            assert_string_equal(datasets_index_class(part[i], c), datasets_index_class(whole, c));
    }
    /* Each image of the whole is the next one of exactly one part. */
    size_t next[2] = {0};
    for (size_t i = 0; i < count; i++) {
        char *name = datasets_index_path(whole, i);
        int taken = 0;
        for (int p = 0; p < 2; p++) {
            if (next[p] == datasets_index_count(part[p])) continue;
            char *other = datasets_index_path(part[p], next[p]);
            if (strcmp(name, other) == 0) {
                taken++;
                next[p]++;
            }
            free(other);
        }
        assert_int_equal(taken, 1);
        free(name);
    }
    assert_true(next[0] > 0 && next[0] < next[1]);
    assert_string_not_equal(datasets_index_fingerprint(part[0]),
                            datasets_index_fingerprint(part[1]));
    datasets_index_free(whole);
    datasets_index_free(part[0]);
    datasets_index_free(part[1]);
}

static void parts_are_disjoint_and_complete(void **state)
{
    (void)state;
    static const char *const tars[] = {"set.tar", "set.tgz"};
    put_folders("set", 4, 10);
    assert_parts("set", 40);
    for (size_t i = 0; i < 2; i++) {
        bytes tar = {0};
        add_pairs(&tar, 0, 40);
        put_tar(tars[i], &tar);
        assert_parts(tars[i], 40);
    }
    put_idx("images-idx3", "labels-idx1", 40);
    assert_parts("images-idx3", 40);
}

/* ---- what is said ---- */

static void images_without_label_are_told(void **state)
{
    (void)state;
    said told;
    const vitc_log log = said_start(&told);
    const datasets_options options = datasets_options_default();
    uint64_t bad;
    bytes tar = {0};
    picture_add(&tar, "cat/1.png", 1);
    for (int i = 0; i < 8; i++) picture_add(&tar, (char[]){(char)('a' + i), 0}, 2);
    put_tar("set.tar", &tar);
    datasets_index *index = make_index("set.tar", &options, 0, &bad, &log);
    assert_int_equal(datasets_index_count(index), 1);
    assert_int_equal(bad, 8);
    datasets_index_free(index);
    const char *line = told.text;
    size_t lines = 0;
    for (; *line != 0; lines++) {
        assert_ptr_equal(strstr(line, "warning: set.tar/"), line);
        line = strchr(line, '\n') + 1;
    }
    assert_int_equal(lines, 5);
    assert_non_null(strstr(told.text, "set.tar/e: left out: lies in no class folder"));
    assert_non_null(strstr(told.text, "only counted"));
    assert_null(strstr(told.text, "set.tar/f"));
}

static void sets_that_break_off_are_no_index(void **state)
{
    (void)state;
    const datasets_options options = datasets_options_default();
    const char *path = "set.tar";
    said told;
    const vitc_log log = said_start(&told);
    datasets_index *index;
    uint64_t bad;
    bytes tar = {0};
    picture_add(&tar, "cat/1.png", 1);
    picture_add(&tar, "cat/2.png", 2);
    put_bytes(path, tar.data, tar.size - 512);
    bytes_free(&tar);
    assert_int_equal(datasets_index_create(&index, &path, 1, &options, 0, &bad, NULL, NULL, &log),
                     VITC_ERR_TRUNCATED);
    assert_null(index);
    assert_non_null(strstr(told.text, "error: set.tar: is cut short"));

    path = "nothing";
    assert_int_equal(datasets_index_create(&index, &path, 1, &options, 0, &bad, NULL, NULL, &log),
                     VITC_ERR_UNREADABLE);
    assert_null(index);
    datasets_options unlabelled = options;
    unlabelled.labelled = false;
    assert_int_equal(
        datasets_index_create(&index, &path, 1, &unlabelled, 0, &bad, NULL, NULL, &log),
        VITC_ERR_ARGUMENT);
    assert_null(index);
}

static void memory_has_a_limit(void **state)
{
    (void)state;
    const datasets_options options = datasets_options_default();
    static const char *const names[] = {"set.tar", "set.tar.gz"};
    uint64_t bad;
    said told;
    const vitc_log log = said_start(&told);
    for (size_t i = 0; i < 2; i++) {
        bytes tar = {0};
        add_class_folders(&tar);
        put_tar(names[i], &tar);
    }
    /* 62 images of 32 bytes and a name fit; their files do not. */
    enum { MOST = 62 * 32 + 2000 };
    datasets_index *index = make_index(names[0], &options, MOST, &bad, &log);
    assert_non_null(index);
    assert_int_equal(datasets_index_count(index), 62);
    datasets_index_free(index);
    const char *path = names[1];
    told.text[0] = 0;
    assert_int_equal(
        datasets_index_create(&index, &path, 1, &options, MOST, &bad, NULL, NULL, &log),
        VITC_ERR_MEMORY);
    assert_null(index);
    assert_non_null(strstr(told.text, "error: set.tar.gz/"));
    assert_non_null(strstr(told.text, "unpack compressed tar files"));
}

static void changed_files_are_told(void **state)
{
    (void)state;
    const datasets_options options = datasets_options_default();
    said told;
    const vitc_log log = said_start(&told);
    imgio_image image;
    uint64_t bad;
    bytes tar = {0};
    picture_add(&tar, "cat/1.png", 1);
    picture_add(&tar, "cat/2.png", 2);
    put_tar("set.tar", &tar);
    datasets_index *index = make_index("set.tar", &options, 0, &bad, NULL);
    assert_int_equal(truncate("set.tar", 1600), 0);
    assert_int_equal(datasets_index_image(&image, index, 1, NULL, &log), VITC_ERR_TRUNCATED);
    assert_null(image.pixels);
    assert_string_equal(told.text, "error: set.tar/cat/2.png: the tar file ends before it; it was "
                                   "changed since it was listed\n");
    datasets_index_free(index);

    put_folders("set", 1, 2);
    index = make_index("set", &options, 0, &bad, NULL);
    assert_int_equal(remove("set/class0/1.png"), 0);
    told.text[0] = 0;
    assert_int_equal(datasets_index_image(&image, index, 1, NULL, &log), VITC_ERR_UNREADABLE);
    assert_non_null(strstr(told.text, "error: set/class0/1.png: cannot be opened"));
    datasets_index_free(index);
}

/* ---- progress, many shards, memory ---- */

static bool stop_at_once(void *user, uint64_t images)
{
    ++*(int *)user;
    return images > 0;
}

static void the_walk_can_be_ended(void **state)
{
    (void)state;
    const datasets_options options = datasets_options_default();
    const char *path = "set";
    datasets_index *index;
    uint64_t bad;
    int calls = 0;
    put_folders("set", 2, 2);
    assert_int_equal(
        datasets_index_create(&index, &path, 1, &options, 0, &bad, stop_at_once, &calls, NULL),
        VITC_ERR_ARGUMENT);
    assert_null(index);
    assert_int_equal(calls, 1);
}

static void shards_may_be_more_than_files_that_stay_open(void **state)
{
    (void)state;
    enum { SHARDS = 300 };
    char name[64];
    for (size_t i = 0; i < SHARDS; i++) {
        bytes tar = {0};
        snprintf(name, sizeof name, "class%zu/%zu.png", i % 7, i);
        picture_add(&tar, name, i);
        snprintf(name, sizeof name, "many/%03zu.tar", i);
        put_tar(name, &tar);
    }
    assert_int_equal(check_set("many/{000..299}.tar"), SHARDS);
}

static vitc_status make_and_read(void *user)
{
    const char *path = user;
    const datasets_options options = datasets_options_default();
    datasets_index *index;
    uint64_t bad;
    VITC_TRY(datasets_index_create(&index, &path, 1, &options, 0, &bad, NULL, NULL, NULL));
    vitc_status status = VITC_OK;
    for (size_t i = 0; i < datasets_index_count(index) && status == VITC_OK; i++) {
        imgio_image image;
        status = datasets_index_image(&image, index, i, NULL, NULL);
        imgio_image_free(&image);
    }
    datasets_index_free(index);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const tars[] = {"set.tar", "set.tgz"};
    put_folders("set", 2, 2);
    assert_true(malloc_fail_each(make_and_read, "set") > 10);
    for (size_t i = 0; i < 2; i++) {
        bytes tar = {0};
        add_pairs(&tar, 0, 4);
        put_tar(tars[i], &tar);
        assert_true(malloc_fail_each(make_and_read, (void *)(uintptr_t)tars[i]) > 10);
    }
    put_idx("images-idx3", "labels-idx1", 3);
    assert_true(malloc_fail_each(make_and_read, "images-idx3") > 10);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_folder_enter, set_folder_leave)
    const struct CMUnitTest tests[] = {
        TEST(folders),
        TEST(lists),
        TEST(tars_of_class_folders),
        TEST(two_tars_in_one_file),
        TEST(shards_of_pairs),
        TEST(members_with_holes),
        TEST(tars_may_be_large),
        TEST(idx_files),
        TEST(cifar_batches),
        TEST(parts_are_disjoint_and_complete),
        TEST(images_without_label_are_told),
        TEST(sets_that_break_off_are_no_index),
        TEST(memory_has_a_limit),
        TEST(changed_files_are_told),
        TEST(the_walk_can_be_ended),
        TEST(shards_may_be_more_than_files_that_stay_open),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
