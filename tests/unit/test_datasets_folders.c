/* Folders: of class folders, and of images without labels. */
#include <errno.h>
#include <fcntl.h>

#include "test_datasets_support.h"
#include "test_malloc_fail.h"

/* ---- class folders ---- */

static void class_folders_give_classes(void **state)
{
    (void)state;
    listing all;
    put("data/dog/img10.jpg", "d10");
    put("data/dog/img2.JPG", "d2");
    put("data/dog/more/deep/x.png", "dx");
    put("data/dog/.hidden.jpg", "no");
    put("data/dog/Thumbs.db", "no");
    put("data/cat/b", "GIF89a b");
    put("data/cat/a.txt", "GIF89a");
    put("data/class10/1.jpg", "c10");
    put("data/class9/1.jpg", "c9");
    put("data/.git/1", "no");
    listing_of(&all, "data");
    assert_int_equal(all.status, VITC_OK);
    assert_int_equal(all.kind, DATASETS_FOLDERS);
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.classes, "cat class9 class10 dog ");
    assert_string_equal(all.text, "0 cat data/cat/a.txt =GIF89a\n"
                                  "1 cat data/cat/b =GIF89a b\n"
                                  "2 class9 data/class9/1.jpg =c9\n"
                                  "3 class10 data/class10/1.jpg =c10\n"
                                  "4 dog data/dog/img2.JPG =d2\n"
                                  "5 dog data/dog/img10.jpg =d10\n"
                                  "6 dog data/dog/more/deep/x.png =dx\n");
    assert_true(all.survey.counted);
    assert_int_equal(all.survey.images, 7);
    const char *slashes[] = {"data///", "./data/", "data/../data"};
    for (size_t i = 0; i < sizeof slashes / sizeof *slashes; i++) {
        listing same;
        listing_of(&same, slashes[i]);
        assert_int_equal(same.survey.images, 7);
        assert_string_equal(same.survey.fingerprint, all.survey.fingerprint);
    }
}

static void several_folders_are_one_set(void **state)
{
    (void)state;
    listing all;
    put("b/dog/1.jpg", "bd");
    put("b/cat/1.jpg", "bc");
    put("a/emu/1.jpg", "ae");
    put("a/cat/1.jpg", "ac");
    const char *paths[] = {"b", "a/"};
    const datasets_options options = datasets_options_default();
    listing_of_options(&all, paths, 2, &options);
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.classes, "cat dog emu ");
    assert_string_equal(all.text, "0 cat b/cat/1.jpg =bc\n"
                                  "1 dog b/dog/1.jpg =bd\n"
                                  "2 cat a/cat/1.jpg =ac\n"
                                  "3 emu a/emu/1.jpg =ae\n");
    put("list.csv", "a,b\n");
    const char *mixed[] = {"b", "list.csv"};
    listing_of_options(&all, mixed, 2, &options);
    assert_int_equal(all.status, VITC_ERR_ARGUMENT);
    assert_string_equal(all.said.text,
                        "error: b and list.csv are sets of different kinds, folders and manifest; "
                        "several paths are one set only when they are of one kind\n");
}

static void what_is_no_class_is_told(void **state)
{
    (void)state;
    listing all;
    put("data/cat/1.jpg", "c");
    put("data/dog/1.jpg", "d");
    put("data/readme.txt", "");
    put("data/labels.csv", "");
    assert_int_equal(mkdir("data/emu", 0777), 0);
    put("data/fox/deep/.DS_Store", "");
    listing_of(&all, "data");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.said.text,
                        "warning: data: 2 files beside the class folders left out: labels.csv, "
                        "readme.txt; where labels come from a list, name the list\n"
                        "warning: data: 2 of 4 class folders without a file: emu, fox\n");
    assert_string_equal(all.classes, "cat dog emu fox ");
    assert_string_equal(all.text, "0 cat data/cat/1.jpg =c\n1 dog data/dog/1.jpg =d\n");
}

/* Captions, sounds, empty files: neither named as pictures nor pictures by their first bytes. They
 * are told at the end, once; what is refused as a picture, and what is named as one, stays. */
static void strays_are_left_out_and_told(void **state)
{
    (void)state;
    listing all;
    put("data/cat/1.jpg", "no picture");
    put("data/cat/1.txt", "a caption");
    put("data/cat/a", "");
    put("data/cat/c.JPG", "");
    put("data/dog/sound.ogg", "OggS");
    put("data/dog/x.txt", "GIF89a");
    put("data/emu/only.mp4", "video");
    put_bytes("data/cat/b.heic",
              "\0\0\0\x18"
              "ftypheic",
              12);
    listing_of(&all, "data");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.classes, "cat dog emu ");
    assert_int_equal(all.survey.images, 4);
    assert_non_null(strstr(all.text, "0 cat data/cat/1.jpg ="));
    assert_non_null(strstr(all.text, "1 cat data/cat/b.heic ="));
    assert_non_null(strstr(all.text, "2 cat data/cat/c.JPG ="));
    assert_non_null(strstr(all.text, "3 dog data/dog/x.txt =GIF89a\n"));
    assert_string_equal(all.said.text,
                        "warning: 4 files in the class folders left out that are no images, "
                        "the first data/cat/1.txt\n");
    assert_int_equal(unlink("data/cat/a"), 0);
    assert_int_equal(unlink("data/dog/sound.ogg"), 0);
    assert_int_equal(unlink("data/emu/only.mp4"), 0);
    put("data/emu/1.png", "");
    listing_of(&all, "data");
    assert_string_equal(all.said.text, "warning: 1 file in the class folders left out that "
                                       "is no image, the first data/cat/1.txt\n");
}

static void one_class_is_told(void **state)
{
    (void)state;
    listing all;
    put("data/cat/1.jpg", "c");
    listing_of(&all, "data");
    assert_string_equal(all.text, "0 cat data/cat/1.jpg =c\n");
    assert_string_equal(all.said.text, "warning: data: holds one class folder only, cat; is the "
                                       "folder above it, or one in it, meant?\n");
}

#define WANTED                                                                                     \
    "labelled images are a folder with one folder for each class, a list of paths and labels "     \
    "(.csv, .tsv, .jsonl), tar files, IDX files or CIFAR's .bin files\n"

static void no_classes_are_an_error(void **state)
{
    (void)state;
    listing all;
    put("flat/1.jpg", "1");
    put("flat/2", "2");
    put("flat/.x/1", "");
    listing_of(&all, "flat");
    assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
    assert_string_equal(all.said.text, "error: flat: holds 2 files and no class folders; " WANTED);
    assert_int_equal(unlink("flat/1.jpg"), 0);
    assert_int_equal(unlink("flat/2"), 0);
    listing_of(&all, "flat");
    assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
    assert_string_equal(all.said.text, "error: flat: an empty folder; " WANTED);
    put("flat/cat/.x", "");
    listing_of(&all, "flat");
    assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
    assert_string_equal(all.said.text, "error: flat: none of its 1 class folder holds a file\n");
    put("photo.jpg", "jpeg");
    listing_of(&all, "photo.jpg");
    assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
    assert_string_equal(all.said.text,
                        "error: photo.jpg: a file, but no set of labelled images; " WANTED);
    listing_of(&all, "nowhere");
    assert_int_equal(all.status, VITC_ERR_UNREADABLE);
    assert_string_equal(all.said.text,
                        "error: nowhere: cannot be opened: No such file or directory\n");
    listing_of(&all, "photo.jpg/x");
    assert_int_equal(all.status, VITC_ERR_UNREADABLE);
    datasets_set *set;
    const datasets_options options = datasets_options_default();
    assert_int_equal(datasets_open(&set, NULL, 0, &options, NULL), VITC_ERR_ARGUMENT);
    assert_null(set);
    datasets_close(NULL);
}

static void lists_in_folders_are_found(void **state)
{
    (void)state;
    listing all;
    put("flat/1.jpg", "1");
    put("flat/2.jpg", "2");
    put("flat/labels.csv", "path,label\n2.jpg,dog\n1.jpg,cat\n");
    listing_of(&all, "flat");
    assert_int_equal(all.kind, DATASETS_MANIFEST);
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.text, "0 dog flat/2.jpg =2\n1 cat flat/1.jpg =1\n");
    put("flat/test.tsv", "");
    listing_of(&all, "flat");
    assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
    assert_string_equal(all.said.text, "error: flat: holds 2 lists, labels.csv, test.tsv; name "
                                       "those that are meant\n");
    /* A record of CIFAR-10: label 3, then 32 x 32 pixels. */
    static unsigned char batch[3073] = {3};
    assert_int_equal(unlink("flat/test.tsv"), 0);
    put_bytes("flat/data_batch_1.bin", batch, sizeof batch);
    listing_of(&all, "flat");
    assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
    assert_string_equal(all.said.text, "error: flat: holds no class folders, but lists and CIFAR "
                                       "batches; name those that are meant\n");
    assert_int_equal(unlink("flat/labels.csv"), 0);
    put_bytes("flat/test_batch.bin", batch, sizeof batch);
    listing_of(&all, "flat");
    assert_int_equal(all.kind, DATASETS_CIFAR);
    assert_string_equal(all.said.text, "warning: flat: holds 2 CIFAR batches, data_batch_1.bin, "
                                       "test_batch.bin; all of them are one set\n");
    assert_string_equal(all.text, "0 3 flat/data_batch_1.bin#0 32x32\n"
                                  "1 3 flat/test_batch.bin#0 32x32\n");
}

/* ---- links, and what cannot be read ---- */

static void links_are_followed_but_not_in_circles(void **state)
{
    (void)state;
    listing all;
    put("data/dog/1.jpg", "d1");
    put("elsewhere/2.jpg", "e2");
    put("file.png", "f");
    assert_int_equal(symlink("../elsewhere", "data/cat"), 0);
    assert_int_equal(symlink("../../file.png", "data/dog/f.png"), 0);
    assert_int_equal(symlink("..", "data/dog/up"), 0);
    assert_int_equal(symlink("../dog", "data/dog/self"), 0);
    assert_int_equal(symlink("../../elsewhere", "data/dog/z"), 0);
    listing_of(&all, "data");
    assert_string_equal(all.classes, "cat dog ");
    assert_string_equal(all.text, "0 cat data/cat/2.jpg =e2\n"
                                  "1 dog data/dog/1.jpg =d1\n"
                                  "2 dog data/dog/f.png =f\n"
                                  "3 dog data/dog/z/2.jpg =e2\n");
    assert_string_equal(all.said.text,
                        "warning: data/dog/self: leads back to a folder above it; skipped\n"
                        "warning: data/dog/up: leads back to a folder above it; skipped\n");
    assert_int_equal(all.survey.images, 4);
    /* one without a file, where two links make very many ways around */
    assert_int_equal(mkdir("data/none", 0777), 0);
    assert_int_equal(symlink(".", "data/none/a"), 0);
    assert_int_equal(symlink(".", "data/none/b"), 0);
    listing_of(&all, "data");
    assert_string_equal(all.classes, "cat dog none ");
    assert_int_equal(all.survey.images, 4);
}

static void what_cannot_be_read_is_an_item(void **state)
{
    (void)state;
    listing all;
    put("data/cat/1.jpg", "c");
    assert_int_equal(symlink("gone", "data/cat/2.jpg"), 0);
    assert_int_equal(symlink("nowhere", "data/dog"), 0);
    assert_int_equal(symlink("loop", "data/cat/loop"), 0);
    assert_int_equal(mkfifo("data/cat/pipe", 0666), 0);
    listing_of(&all, "data");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.classes, "cat dog ");
    assert_string_equal(
        all.text,
        "0 cat data/cat/1.jpg =c\n"
        "1 cat data/cat/2.jpg: unreadable: cannot be opened: broken symbolic link\n"
        "2 cat data/cat/loop: unreadable: cannot be opened: Too many levels of symbolic links\n"
        "3 cat data/cat/pipe: unreadable: is a pipe, not a file\n"
        "4 dog data/dog: unreadable: cannot be opened: broken symbolic link\n");
    assert_int_equal(all.survey.images, 5);
}

static void folders_without_permission_are_items(void **state)
{
    (void)state;
    if (geteuid() == 0) skip(); /* nothing is forbidden to root */
    listing all;
    put("data/cat/1.jpg", "c");
    put("data/cat/locked/1.jpg", "c");
    put("data/dog/1.jpg", "d");
    assert_int_equal(chmod("data/cat/locked", 0), 0);
    assert_int_equal(chmod("data/dog", 0), 0);
    listing_of(&all, "data");
    assert_int_equal(chmod("data/cat/locked", 0777), 0);
    assert_int_equal(chmod("data/dog", 0777), 0);
    assert_string_equal(
        all.text, "0 cat data/cat/1.jpg =c\n"
                  "1 cat data/cat/locked: unreadable: folder cannot be listed: Permission denied\n"
                  "2 dog data/dog: unreadable: folder cannot be listed: Permission denied\n");
    assert_int_equal(chmod("data", 0), 0);
    listing_of(&all, "data");
    assert_int_equal(chmod("data", 0777), 0);
    assert_int_equal(all.status, VITC_ERR_UNREADABLE);
    assert_string_equal(all.said.text, "error: data: folder cannot be listed: Permission denied\n");
}

/* A folder behind a name longer than the system takes: no permission of root helps. */
static void folders_that_cannot_be_listed_are_items(void **state)
{
    (void)state;
    listing all;
    put("data/cat/1.jpg", "c");
    put("data/dog/1.jpg", "d");
    /* Folders in folders until the path is too long; entered one by one, as no path reaches them.
     */
    char name[251] = {0};
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(chdir("data/cat"), 0);
    for (int i = 0; i < 18; i++) assert_true(mkdir(name, 0777) == 0 && chdir(name) == 0);
    assert_int_equal(chdir(set_folder), 0);
    listing_of(&all, "data");
    assert_int_equal(all.status, VITC_OK);
    assert_non_null(strstr(all.text, ": unreadable: folder cannot be listed: File name too long\n"
                                     "2 dog data/dog/1.jpg =d\n"));
    assert_int_equal(all.survey.images, 3);
    /* Away with them. */
    assert_int_equal(chdir("data/cat"), 0);
    for (int i = 0; i < 17; i++) assert_int_equal(chdir(name), 0);
    for (int i = 0; i < 18; i++) assert_true(rmdir(name) == 0 && chdir("..") == 0);
    assert_int_equal(chdir(set_folder), 0);
}

static void folders_may_change_meanwhile(void **state)
{
    (void)state;
    const char *path = "data";
    const datasets_options options = datasets_options_default();
    listing all = {0};
    datasets_set *set;
    datasets_item item;
    bool end;
    put("data/cat/1.jpg", "1");
    put("data/cat/2.jpg", "2");
    put("data/dog/1.jpg", "d");
    put("data/emu/1.jpg", "e");
    assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_false(end);
    datasets_item_free(&item);
    assert_int_equal(unlink("data/cat/2.jpg"), 0);
    assert_int_equal(unlink("data/dog/1.jpg"), 0);
    assert_int_equal(rmdir("data/dog"), 0);
    put("data/emu/2.jpg", "e2");
    listing_read(&all, set, NULL);
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(
        all.text, "1 cat data/cat/2.jpg: unreadable: cannot be opened: No such file or directory\n"
                  "2 dog data/dog: unreadable: folder cannot be listed: No such file or directory\n"
                  "3 emu data/emu/1.jpg =e\n"
                  "4 emu data/emu/2.jpg =e2\n");
    datasets_close(set);
}

static void new_classes_come_last(void **state)
{
    (void)state;
    const char *path = "data";
    const datasets_options options = datasets_options_default();
    listing all = {0};
    datasets_set *set;
    put("data/cat/1.jpg", "1");
    put("data/dog/1.jpg", "d");
    assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
    assert_int_equal(datasets_class_count(set), 2);
    put("data/bee/1.jpg", "b");
    listing_read(&all, set, NULL);
    assert_string_equal(
        all.text, "0 bee data/bee/1.jpg =b\n1 cat data/cat/1.jpg =1\n2 dog data/dog/1.jpg =d\n");
    assert_int_equal(datasets_class_count(set), 3);
    assert_string_equal(datasets_class_name(set, 2), "bee");
    datasets_close(set);
}

static void files_have_a_limit(void **state)
{
    (void)state;
    put("data/cat/1", "12345");
    datasets_item item;
    assert_int_equal(datasets_item_start(&item, 0, "data/cat/1", 0, NULL), VITC_OK);
    item.file = strdup("data/cat/1");
    datasets_item_read(&item, 4);
    assert_int_equal(item.status, VITC_ERR_TOO_LARGE);
    assert_string_equal(item.error, "5 bytes are more than the limit of 4");
    assert_null(item.bytes);
    datasets_item_read(&item, 5); /* nothing to do any more */
    assert_int_equal(item.status, VITC_ERR_TOO_LARGE);
    datasets_item_free(&item);
    /* A path that fills the message leaves its status. */
    char *long_path = malloc(2001);
    assert_non_null(long_path);
    memset(long_path, 'p', 2000);
    long_path[2000] = 0;
    assert_int_equal(datasets_item_start(&item, 0, long_path, 0, NULL), VITC_OK);
    item.file = long_path;
    datasets_item_read(&item, 0);
    assert_int_equal(item.status, VITC_ERR_UNREADABLE);
    assert_string_equal(item.error, "unreadable");
    datasets_item_free(&item);
}

/* ---- without labels ---- */

static void files_and_folders_without_labels(void **state)
{
    (void)state;
    listing all;
    put("data/b10", "b10");
    put("data/b9/1", "b9");
    put("data/B", "B");
    put("data/.x", "no");
    put("x.jpg", "x");
    put("list.csv", "data/B\nx.jpg\n");
    put("bad.csv", "x.jpg\n\"\n");
    assert_int_equal(mkdir("empty", 0777), 0);
    const char *paths[] = {"x.jpg", "data", "nowhere", "list.csv", "empty", "bad.csv", "x.jpg"};
    datasets_options options = datasets_options_default();
    options.labelled = false;
    listing_of_options(&all, paths, sizeof paths / sizeof *paths, &options);
    assert_int_equal(all.status, VITC_OK);
    assert_int_equal(all.kind, DATASETS_FILES);
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.classes, "");
    assert_string_equal(all.text,
                        "0 - x.jpg =x\n"
                        "1 - data/B =B\n"
                        "2 - data/b9/1 =b9\n"
                        "3 - data/b10 =b10\n"
                        "4 - nowhere: unreadable: cannot be opened: No such file or directory\n"
                        "5 - data/B =B\n"
                        "6 - x.jpg =x\n"
                        "7 - empty: unreadable: the folder holds no files\n"
                        "8 - x.jpg =x\n"
                        "9 - bad.csv: corrupt: line 2: a quote (\") that is not closed\n"
                        "10 - x.jpg =x\n");
    assert_true(all.survey.counted);
    assert_int_equal(all.survey.images, 11);
}

static void containers_without_labels(void **state)
{
    (void)state;
    listing all;
    static unsigned char batch[2 * 3073] = {3};
    put_bytes("data_batch_1.bin", batch, sizeof batch);
    put_bytes("cut/data_batch_2.bin", batch, sizeof batch - 1);
    put("x", "x");
    const char *paths[] = {"x", "data_batch_1.bin", "cut/data_batch_2.bin", "x"};
    datasets_options options = datasets_options_default();
    options.labelled = false;
    listing_of_options(&all, paths, 4, &options);
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.text,
                        "0 - x =x\n"
                        "1 - data_batch_1.bin#0 32x32\n"
                        "2 - data_batch_1.bin#1 32x32\n"
                        "3 - cut/data_batch_2.bin: truncated: its 6145 bytes are no multiple of "
                        "the 3073 of a CIFAR-10 image; get the file again\n"
                        "4 - x =x\n");
}

/* ---- memory ---- */

static vitc_status labelled_work(void *argument)
{
    const char *path = argument;
    const datasets_options options = datasets_options_default();
    datasets_set *set;
    datasets_survey survey;
    vitc_status status = datasets_open(&set, &path, 1, &options, NULL);
    if (status != VITC_OK) return status;
    status = datasets_survey_set(&survey, set, NULL, NULL, NULL);
    for (bool end = false; status == VITC_OK && !end;) {
        datasets_item item;
        status = datasets_next(&item, &end, set, NULL);
        if (status != VITC_OK || end) break;
        datasets_item_read(&item, 0);
        if (item.status == VITC_ERR_MEMORY) status = VITC_ERR_MEMORY;
        datasets_item_free(&item);
    }
    datasets_close(set);
    return status;
}

static void folders_survive_without_memory(void **state)
{
    (void)state;
    put("data/cat/1", "c");
    put("data/cat/deep/2", "c");
    put("data/dog/1", "d");
    put("data/readme", "");
    assert_int_equal(symlink("gone", "data/dog/2"), 0);
    assert_true(malloc_fail_each(labelled_work, (char[]){"data"}) > 20);
}

static vitc_status unlabelled_work(void *argument)
{
    static const char *const paths[] = {"data", "list.csv", "nowhere"};
    datasets_options options = datasets_options_default();
    datasets_set *set;
    (void)argument;
    options.labelled = false;
    vitc_status status = datasets_open(&set, paths, 3, &options, NULL);
    if (status != VITC_OK) return status;
    for (bool end = false; status == VITC_OK && !end;) {
        datasets_item item;
        status = datasets_next(&item, &end, set, NULL);
        if (status == VITC_OK && item.status == VITC_ERR_MEMORY) status = VITC_ERR_MEMORY;
        datasets_item_free(&item);
    }
    datasets_close(set);
    return status;
}

static void files_survive_without_memory(void **state)
{
    (void)state;
    put("data/1", "c");
    put("list.csv", "1\n");
    assert_true(malloc_fail_each(unlabelled_work, NULL) > 10);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_folder_enter, set_folder_leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(class_folders_give_classes),
        IN_FOLDER(several_folders_are_one_set),
        IN_FOLDER(what_is_no_class_is_told),
        IN_FOLDER(strays_are_left_out_and_told),
        IN_FOLDER(one_class_is_told),
        IN_FOLDER(no_classes_are_an_error),
        IN_FOLDER(lists_in_folders_are_found),
        IN_FOLDER(links_are_followed_but_not_in_circles),
        IN_FOLDER(what_cannot_be_read_is_an_item),
        IN_FOLDER(folders_without_permission_are_items),
        IN_FOLDER(folders_that_cannot_be_listed_are_items),
        IN_FOLDER(folders_may_change_meanwhile),
        IN_FOLDER(new_classes_come_last),
        IN_FOLDER(files_have_a_limit),
        IN_FOLDER(files_and_folders_without_labels),
        IN_FOLDER(containers_without_labels),
        IN_FOLDER(folders_survive_without_memory),
        IN_FOLDER(files_survive_without_memory),
    };
    return cmocka_run_group_tests_name("datasets_folders", tests, NULL, NULL);
}
