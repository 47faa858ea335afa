/* Tar files as sets: class folders, pairs, compressed or not, in number; and what bad ones get. */
#include <fcntl.h>
#include <sys/wait.h>

#include "test_datasets_archives.h"
#include "test_malloc_fail.h"
#include "vitc_log.h"

/* What both the plain and the compressed file gave, but for their names. */
static void assert_same_images(const listing *plain, const listing *packed)
{
    char text[sizeof packed->text], *to = text;
    for (const char *at = packed->text; *at != 0;) {
        const bool gz = strncmp(at, ".tar.gz", 7) == 0;
        if (gz)
            to = stpcpy(to, ".tar");
        else
            *to++ = *at;
        at += gz ? 7 : 1;
    }
    *to = 0;
    assert_string_equal(text, plain->text);
}

/* ---- class folders ---- */

static void folders_of_members_are_classes(void **state)
{
    (void)state;
    static const char *const names[] = {"a.tar", "a.tar.gz"};
    listing all[2];
    for (size_t i = 0; i < 2; i++) {
        bytes tar = {0};
        tar_add_header(&tar, &(tar_header){.name = "./", .type = '5'});
        tar_add_header(&tar, &(tar_header){.name = "dog/", .type = '5'});
        tar_add(&tar, "dog/2.jpg", "d2");
        tar_add(&tar, "./dog//1.jpg", "d1");
        tar_add(&tar, "train/class10/1.jpg", "c10");
        tar_add(&tar, "/train/class9/a.b.jpg", "c9");
        tar_add(&tar, "../cat/README", "not by name");
        tar_add(&tar, "cat/.hidden", "no");
        tar_add(&tar, "cat/._1.jpg", "no");
        tar_add(&tar, ".git/1.jpg", "no");
        tar_add(&tar, "cat/Thumbs.db", "no");
        tar_add(&tar, "cat/empty.jpg", "");
        tar_add(&tar, "alone.jpg", "x");
        put_tar(names[i], &tar);
        listing_of(&all[i], names[i]);
        assert_int_equal(all[i].status, VITC_OK);
        assert_int_equal(all[i].kind, DATASETS_TAR);
        assert_string_equal(all[i].said.text, "");
    }
    assert_string_equal(all[0].text,
                        "0 dog a.tar/dog/2.jpg =d2\n"
                        "1 dog a.tar/dog/1.jpg =d1\n"
                        "2 class10 a.tar/train/class10/1.jpg =c10\n"
                        "3 class9 a.tar/train/class9/a.b.jpg =c9\n"
                        "4 cat a.tar/cat/README =not by name\n"
                        "5 cat a.tar/cat/empty.jpg =\n"
                        "6 - a.tar/alone.jpg: unsupported: lies in no class folder of the tar "
                        "file, and no .cls lies beside it\n");
    assert_same_images(&all[0], &all[1]);
    /* All classes beforehand; compressed, as they come. */
    assert_string_equal(all[0].classes, "cat class9 class10 dog ");
    assert_string_equal(all[1].classes, "dog class10 class9 cat ");
    assert_true(all[0].survey.counted);
    assert_int_equal(all[0].survey.images, 7);
    assert_false(all[1].survey.counted);
    assert_string_not_equal(all[0].survey.fingerprint, all[1].survey.fingerprint);
}

static void many_members_come_in_order(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static const char *const names[] = {"many.tar", "many.tgz"};
    unsigned char *pixels = malloc(COUNT * 7);
    assert_non_null(pixels);
    for (size_t i = 0; i < COUNT * (size_t)7; i++) pixels[i] = (unsigned char)(i * 31 >> 3);
    for (size_t n = 0; n < 2; n++) {
        bytes tar = {0};
        for (size_t i = 0; i < COUNT; i++) {
            char name[64];
            snprintf(name, sizeof name, "c%zu/%zu.jpg", i % 3, i);
            tar_add_bytes(&tar, name, pixels, i * 7);
        }
        put_tar(names[n], &tar);
        datasets_set *set;
        const datasets_options options = datasets_options_default();
        assert_int_equal(datasets_open(&set, &names[n], 1, &options, NULL), VITC_OK);
        for (size_t i = 0; i < COUNT; i++) {
            datasets_item item;
            bool end;
            char class_name[8];
            assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
            assert_false(end);
            assert_int_equal(item.index, i);
            assert_int_equal(item.size, i * 7);
            assert_memory_equal(item.bytes, pixels, i * 7);
            snprintf(class_name, sizeof class_name, "c%zu", i % 3);
            assert_string_equal(datasets_class_name(set, (size_t)item.label), class_name);
            datasets_item_free(&item);
        }
        datasets_close(set);
    }
    free(pixels);
}

static void names_of_every_kind_are_read(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    char long_name[220], record[300];
    /* ustar's prefix; GNU's long name; pax's path, in UTF-8; bytes that are no UTF-8. */
    tar_add_header(&tar,
                   &(tar_header){.name = "1.jpg", .size = 1, .type = '0', .prefix = "top/cat"});
    tar_add_data(&tar, "a", 1);
    memset(long_name, 'l', sizeof long_name);
    memcpy(long_name, "dog/", 4);
    memcpy(long_name + 200, ".jpg", 5);
    tar_add_header(&tar, &(tar_header){.name = "././@LongLink", .size = 205, .type = 'L'});
    tar_add_data(&tar, long_name, 205);
    tar_add(&tar, "cut", "b");
    snprintf(record, sizeof record, "%d path=k\xC3\xA4tzchen/\xC3\x9F.jpg\n", 25);
    assert_int_equal(strlen(record), 25);
    tar_add_header(&tar, &(tar_header){.name = "PaxHeaders/x", .size = 25, .type = 'x'});
    tar_add_data(&tar, record, 25);
    tar_add(&tar, "cut", "c");
    tar_add(&tar, "\xFF/1.jpg", "d");
    put_tar("names.tar", &tar);
    listing_of(&all, "names.tar");
    snprintf(record, sizeof record, "1 dog names.tar/%s =b\n", long_name);
    assert_string_equal(all.said.text, "");
    assert_non_null(strstr(all.text, "0 cat names.tar/top/cat/1.jpg =a\n"));
    assert_non_null(strstr(all.text, record));
    assert_non_null(
        strstr(all.text, "2 k\xC3\xA4tzchen names.tar/k\xC3\xA4tzchen/\xC3\x9F.jpg =c\n"));
    assert_non_null(strstr(all.text, "3 \xFF names.tar/\xFF/1.jpg =d\n"));
}

static void what_is_no_file_is_an_item_with_a_reason(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "cat/1.jpg", "one");
    tar_add_header(&tar, &(tar_header){.name = "cat/2.jpg", .type = '1', .link = "cat/1.jpg"});
    tar_add_header(&tar, &(tar_header){.name = "cat/3.jpg", .type = '2', .link = "1.jpg"});
    tar_add_header(&tar, &(tar_header){.name = "cat/4.jpg", .type = '3'});
    tar_add(&tar, "cat/5.jpg", "five");
    put_tar("links.tar", &tar);
    listing_of(&all, "links.tar");
    assert_int_equal(all.status, VITC_OK);
    assert_non_null(strstr(all.text, "1 cat links.tar/cat/2.jpg: unsupported: a link"));
    assert_non_null(strstr(all.text, "2 cat links.tar/cat/3.jpg: unsupported: a link"));
    assert_non_null(strstr(all.text, "--hard-dereference"));
    assert_non_null(strstr(all.text,
                           "3 cat links.tar/cat/4.jpg: unsupported: neither a file nor a folder\n"
                           "4 cat links.tar/cat/5.jpg =five\n"));
}

/* The sparse file of old GNU tar: of 1536 bytes those at `offset`, or none, are in the archive. */
static void assert_sparse(unsigned offset, unsigned stored)
{
    enum { SIZE = 1536 };
    bytes tar = {0};
    unsigned char wanted[SIZE] = {0};
    memset(wanted + offset, 'x', stored);
    tar_add_header(&tar, &(tar_header){.name = "cat/1.jpg", .size = stored, .type = 'S'});
    char *header = (char *)tar.data;
    memcpy(header + 257, "ustar  ", 8);
    snprintf(header + 386, 12, "%011o", offset);
    snprintf(header + 398, 12, "%011o", stored);
    snprintf(header + 410, 12, "%011o", SIZE);
    snprintf(header + 422, 12, "%011o", 0);
    snprintf(header + 483, 12, "%011o", SIZE);
    tar_sum(tar.data);
    if (stored > 0) tar_add_data(&tar, wanted + offset, stored);
    put_tar("sparse.tar", &tar);
    datasets_set *set;
    datasets_item item;
    bool end;
    const char *path = "sparse.tar";
    const datasets_options options = datasets_options_default();
    assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_false(end);
    assert_int_equal(item.status, VITC_OK);
    assert_int_equal(item.size, SIZE);
    assert_memory_equal(item.bytes, wanted, SIZE);
    datasets_item_free(&item);
    datasets_close(set);
}

static void sparse_files_have_zeros_in_their_holes(void **state)
{
    (void)state;
    assert_sparse(512, 512);
    assert_sparse(0, 512);
    assert_sparse(1536, 0);
}

static void a_tar_file_may_have_idx_in_its_name(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "cat/1.jpg", "one");
    put_tar("train_idx.tgz", &tar);
    listing_of(&all, "train_idx.tgz");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.text, "0 cat train_idx.tgz/cat/1.jpg =one\n");
}

static void without_labels_every_file_is_an_image(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "1.jpg", "one");
    tar_add(&tar, "1.cls", "3");
    tar_add(&tar, "1.JSON", "{}");
    tar_add(&tar, "a/b/2", "two");
    tar_add(&tar, "a/.DS_Store", "no");
    put_tar("a.tgz", &tar);
    listing_unlabelled(&all, "a.tgz");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.text, "0 - a.tgz/1.jpg =one\n"
                                  "1 - a.tgz/a/b/2 =two\n");
    assert_string_equal(all.classes, "");
}

/* ---- pairs ---- */

static void pairs_have_labels_beside_images(void **state)
{
    (void)state;
    static const char *const names[] = {"p.tar", "p.tar.gz"};
    listing all[2];
    for (size_t i = 0; i < 2; i++) {
        bytes tar = {0};
        tar_add(&tar, "000.jpg", "zero");
        tar_add(&tar, "000.cls", "7\n");
        tar_add(&tar, "001.cls", " red fox \r\n");
        tar_add(&tar, "001.txt", "a caption");
        tar_add(&tar, "001.depth.png", "depth");
        tar_add(&tar, "001.npy", "array");
        tar_add(&tar, "001.PNG", "one");
        tar_add(&tar, "002.webp", "two");
        tar_add(&tar, "002.json", "{\"caption\": \"x\", \"class\": 1, \"label\": 12}");
        tar_add(&tar, "003.jpg", "three");
        tar_add(&tar, "003.json", "{\"cls\": \"cat\"}");
        tar_add(&tar, "004.json", "{\"label\": \"no\"}");
        tar_add(&tar, "004.jpg", "four");
        tar_add(&tar, "004.cls", "dog");
        tar_add(&tar, "in/folders.too/005.jpg", "five");
        tar_add(&tar, "in/folders.too/005.cls", "cat");
        tar_add(&tar, "006.raw", "six");
        tar_add(&tar, "006.json", "{\"class\": \"dog\"}");
        tar_add(&tar, "README", "no pair, no label: nothing");
        put_tar(names[i], &tar);
        listing_of(&all[i], names[i]);
        assert_int_equal(all[i].status, VITC_OK);
        assert_string_equal(all[i].said.text, "");
    }
    assert_string_equal(all[0].text,
                        "0 7 p.tar/000.jpg =zero\n"
                        "1 red fox p.tar/001.PNG =one\n"
                        "2 12 p.tar/002.webp =two\n"
                        "3 cat p.tar/003.jpg =three\n"
                        "4 dog p.tar/004.jpg =four\n"
                        "5 cat p.tar/in/folders.too/005.jpg =five\n"
                        "6 dog p.tar/006.raw =six\n"
                        "7 - p.tar/README: corrupt: an image without a label: no .cls or .json of "
                        "the same name lies next to it\n");
    assert_same_images(&all[0], &all[1]);
    assert_true(all[0].survey.counted);
    assert_int_equal(all[0].survey.images, 8);
}

static void pairs_that_lack_something_are_items_with_a_reason(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "0.jpg", "good");
    tar_add(&tar, "0.cls", "cat");
    tar_add(&tar, "1.jpg", "no label");
    tar_add(&tar, "2.cls", "cat");
    tar_add(&tar, "3.jpg", "x");
    tar_add(&tar, "3.cls", " \n");
    tar_add(&tar, "4.jpg", "x");
    tar_add(&tar, "4.cls", "cat\ndog");
    tar_add(&tar, "5.jpg", "x");
    tar_add_bytes(&tar, "5.cls", "c\0t", 3);
    tar_add(&tar, "6.jpg", "x");
    tar_add(&tar, "6.json", "{\"label\": ");
    tar_add(&tar, "7.jpg", "x");
    tar_add(&tar, "7.json", "{\"caption\": 1}");
    tar_add(&tar, "8.jpg", "x");
    tar_add(&tar, "8.json", "{\"label\": [1], \"cls\": 1}");
    tar_add(&tar, "9.jpg", "x");
    tar_add_header(&tar, &(tar_header){.name = "9.cls", .type = '2', .link = "0.cls"});
    tar_add_header(&tar, &(tar_header){.name = "a.jpg", .type = '2', .link = "0.jpg"});
    tar_add(&tar, "a.cls", "cat");
    tar_add(&tar, "b.jpg", "good");
    tar_add(&tar, "b.cls", "cat");
    put_tar("p.tar", &tar);
    listing_of(&all, "p.tar");
    assert_int_equal(all.status, VITC_OK);
    static const char *const lines[] = {
        "0 cat p.tar/0.jpg =good\n",
        "1 - p.tar/1.jpg: corrupt: an image without a label",
        "2 cat p.tar/2.cls: corrupt: a label without an image",
        "3 - p.tar/3.jpg: corrupt: its label is missing: its .cls is empty\n",
        "4 - p.tar/4.jpg: corrupt: its label is no line of text: cat?dog\n",
        "5 - p.tar/5.jpg: corrupt: its label is no line of text: c\n",
        "6 - p.tar/6.jpg: corrupt: its label cannot be read: its .json",
        "7 - p.tar/7.jpg: corrupt: its label is missing: its .json has no text or number",
        "8 - p.tar/8.jpg: corrupt: its label is missing",
        "9 - p.tar/9.jpg: corrupt: its label cannot be read: a link",
        "10 cat p.tar/a.jpg: unsupported: a link",
        "11 cat p.tar/b.jpg =good\n",
    };
    const char *at = all.text;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        at = strstr(at, lines[i]);
        if (at == NULL) fail_msg("no \"%s\" in its place in\n%s", lines[i], all.text);
    }
    assert_string_equal(all.classes, "cat ");
}

static void numbers_are_lines_of_the_class_names(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "0.jpg", "x");
    tar_add(&tar, "0.cls", "2");
    tar_add(&tar, "1.jpg", "x");
    tar_add(&tar, "1.json", "{\"label\": 0}");
    tar_add(&tar, "2.jpg", "x");
    tar_add(&tar, "2.cls", "3");
    tar_add(&tar, "3.jpg", "x");
    tar_add(&tar, "3.cls", "99999999999999999999999");
    tar_add(&tar, "4.jpg", "x");
    tar_add(&tar, "4.cls", "frog");
    tar_add(&tar, "5.jpg", "x");
    tar_add(&tar, "5.cls", "newt");
    put_tar("p.tar", &tar);
    put("names.txt", "bird\nfrog\nzebra\n");
    const char *path = "p.tar";
    datasets_options options = datasets_options_default();
    options.class_names = "names.txt";
    listing_of_options(&all, &path, 1, &options);
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.text,
                        "0 zebra p.tar/0.jpg =x\n"
                        "1 bird p.tar/1.jpg =x\n"
                        "2 - p.tar/2.jpg: corrupt: its label is beyond the class names that were "
                        "given: 3\n"
                        "3 - p.tar/3.jpg: corrupt: its label is beyond the class names that were "
                        "given: 99999999999999999999999\n"
                        "4 frog p.tar/4.jpg =x\n"
                        "5 newt p.tar/5.jpg =x\n");
    assert_string_equal(all.classes, "bird frog zebra newt ");

    /* Nor is newt line 4 when the same set is opened once more, as for a survey. */
    datasets_set *set;
    datasets_survey before, after;
    datasets_item item;
    assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
    assert_int_equal(datasets_survey_set(&before, set, NULL, NULL, NULL), VITC_OK);
    for (bool end = false; !end;) {
        assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
        datasets_item_free(&item);
    }
    assert_int_equal(datasets_survey_set(&after, set, NULL, NULL, NULL), VITC_OK);
    assert_string_equal(after.fingerprint, before.fingerprint);
    datasets_close(set);
}

/* The label lies behind more bytes than are looked at first. */
static void large_first_images_are_seen_to_be_pairs(void **state)
{
    (void)state;
    enum { LARGE = 3 * 1000 * 1000 };
    listing all;
    bytes tar = {0}, image = {0};
    bytes_add(&image, "x", 2);
    bytes_add_zeros(&image, LARGE);
    tar_add_bytes(&tar, "in/0.jpg", image.data, image.size);
    tar_add(&tar, "in/0.cls", "cat");
    put_tar("p.tgz", &tar);
    bytes_free(&image);
    listing_of(&all, "p.tgz");
    assert_string_equal(all.text, "0 cat p.tgz/in/0.jpg =x\n");
}

/* Once it is clear that a file has class folders, a .cls in it is one more file. */
static void the_first_names_decide(void **state)
{
    (void)state;
    listing all;
    for (size_t plain = 15; plain <= 16; plain++) {
        bytes tar = {0};
        for (size_t i = 0; i < plain; i++) {
            char name[32];
            snprintf(name, sizeof name, "cat/%zu.jpg", i);
            tar_add(&tar, name, "x");
        }
        tar_add(&tar, "cat/x.jpg", "x");
        tar_add(&tar, "cat/x.cls", "dog");
        put_tar("p.tar", &tar);
        listing_of(&all, "p.tar");
        assert_string_equal(all.classes, plain == 15 ? "dog " : "cat ");
        assert_int_equal(all.survey.images, plain == 15 ? 16 : 18);
    }
}

/* ---- several files ---- */

static void put_shard(const char *path, const char *name, const char *text)
{
    bytes tar = {0};
    tar_add(&tar, name, text);
    put_tar(path, &tar);
}

static void ranges_are_several_files(void **state)
{
    (void)state;
    listing all;
    put_shard("s-08.tar", "dog/8.jpg", "8");
    put_shard("s-09.tar.gz", "cat/9.jpg", "9");
    put_shard("s-10.tar", "emu/10.jpg", "10");
    put_shard("s-11.tar", "cat/11.jpg", "11");
    listing_of(&all, "s-{10..11}.tar");
    assert_string_equal(all.text, "0 emu s-10.tar/emu/10.jpg =10\n"
                                  "1 cat s-11.tar/cat/11.jpg =11\n");
    assert_string_equal(all.classes, "cat emu ");
    assert_true(all.survey.counted);
    const char *paths[] = {"s-{08..08}.tar", "s-09.tar.gz", "./s-{10..11}.tar"};
    const datasets_options options = datasets_options_default();
    listing_of_options(&all, paths, 3, &options);
    assert_string_equal(all.text, "0 dog s-08.tar/dog/8.jpg =8\n"
                                  "1 cat s-09.tar.gz/cat/9.jpg =9\n"
                                  "2 emu ./s-10.tar/emu/10.jpg =10\n"
                                  "3 cat ./s-11.tar/cat/11.jpg =11\n");
    assert_string_equal(all.classes, "cat dog emu ");
    assert_false(all.survey.counted);
    /* A file of the range that is missing is missed before the first image. */
    listing_of(&all, "s-{8..9}.tar");
    assert_int_equal(all.status, VITC_ERR_UNREADABLE);
    assert_string_equal(all.said.text,
                        "error: s-8.tar: cannot be opened: No such file or directory\n");
    assert_string_equal(all.text, "");
}

static void assert_expands(const char *path, size_t count, const char *first, const char *last)
{
    char **paths;
    size_t got;
    assert_int_equal(datasets_tar_expand(&paths, &got, path, NULL), VITC_OK);
    assert_int_equal(got, count);
    assert_string_equal(paths[0], first);
    assert_string_equal(paths[got - 1], last);
    for (size_t i = 0; i < got; i++) free(paths[i]);
    free(paths);
}

static void ranges_are_written_as_in_shells(void **state)
{
    (void)state;
    assert_expands("a{0..2}b", 3, "a0b", "a2b");
    assert_expands("{7..7}", 1, "7", "7");
    assert_expands("a{8..11}", 4, "a8", "a11");
    assert_expands("a{008..11}", 4, "a008", "a011");
    assert_expands("a{0..010}", 11, "a000", "a010");
    assert_expands("{a}/{b..c}{1..2}{", 2, "{a}/{b..c}1{", "{a}/{b..c}2{");
    static const char *const plain[] = {"",
                                        "a.tar",
                                        "a{}",
                                        "a{1}",
                                        "a{1..}",
                                        "a{..2}",
                                        "a{1.2}",
                                        "a{1..2",
                                        "a{-1..2}",
                                        "a{1..2x}",
                                        "a{1..12345678901234567890}"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        assert_expands(plain[i], 1, plain[i], plain[i]);
    put("real{1..2}.tar", "");
    assert_expands("real{1..2}.tar", 1, "real{1..2}.tar", "real{1..2}.tar");

    static const struct {
        const char *path, *message;
        vitc_status status;
    } bad[] = {
        {"a{3..1}", "error: a{3..1}: the range counts down; write {1..3}\n", VITC_ERR_ARGUMENT},
        {"a{0..1000000}", "error: a{0..1000000}: a range of more than 1000000 files\n",
         VITC_ERR_TOO_LARGE},
        {"a{0..999999999999999999}",
         "error: a{0..999999999999999999}: a range of more than 1000000 files\n",
         VITC_ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        said heard;
        char **paths;
        size_t count;
        const vitc_log log = said_start(&heard);
        assert_int_equal(datasets_tar_expand(&paths, &count, bad[i].path, &log), bad[i].status);
        assert_string_equal(heard.text, bad[i].message);
        assert_null(paths);
        assert_int_equal(count, 0);
    }
}

static void two_archives_in_one_file_are_one(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "cat/1.jpg", "1");
    tar_add_end(&tar);
    bytes_add_zeros(&tar, 8192);
    tar_add(&tar, "dog/2.jpg", "2");
    put_tar("two.tar", &tar);
    listing_of(&all, "two.tar");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.text, "0 cat two.tar/cat/1.jpg =1\n1 dog two.tar/dog/2.jpg =2\n");
}

/* ---- what is wanted ---- */

static bool is_even(void *user, uint64_t index, const char *path)
{
    int *asked = user;
    ++*asked;
    assert_non_null(strstr(path, ".tar/"));
    return index % 2 == 0;
}

static void unwanted_images_are_passed_over(void **state)
{
    (void)state;
    static const char *const names[] = {"f.tar", "p.tar"};
    for (size_t pairs = 0; pairs < 2; pairs++) {
        listing all;
        bytes tar = {0};
        int asked = 0;
        for (int i = 0; i < 5; i++) {
            char name[32];
            snprintf(name, sizeof name, "cat/%d.jpg", i);
            tar_add(&tar, name, "x");
            snprintf(name, sizeof name, "cat/%d.cls", i);
            if (pairs) tar_add(&tar, name, "dog");
        }
        put_tar(names[pairs], &tar);
        datasets_options options = datasets_options_default();
        options.wanted = is_even;
        options.wanted_user = &asked;
        listing_of_options(&all, &names[pairs], 1, &options);
        assert_int_equal(asked, 5);
        assert_string_equal(all.text, pairs ? "0 dog p.tar/cat/0.jpg =x\n"
                                              "2 dog p.tar/cat/2.jpg =x\n"
                                              "4 dog p.tar/cat/4.jpg =x\n"
                                            : "0 cat f.tar/cat/0.jpg =x\n"
                                              "2 cat f.tar/cat/2.jpg =x\n"
                                              "4 cat f.tar/cat/4.jpg =x\n");
    }
}

/* An image falls into the same part in a tar file, a compressed one, and a folder. */
static void parts_do_not_depend_on_the_tar_file(void **state)
{
    (void)state;
    static const char *const paths[] = {"a.tar", "moved/b.tgz", "folder"};
    char chosen[3][4096] = {{0}};
    bytes tar = {0}, same = {0};
    for (int i = 0; i < 60; i++) {
        char name[32], path[64];
        snprintf(name, sizeof name, "cat/%02d.jpg", i);
        snprintf(path, sizeof path, "folder/%s", name);
        tar_add(&tar, name, "x");
        tar_add(&same, name, "x");
        put(path, "x");
    }
    put_tar(paths[0], &tar);
    (void)mkdir("moved", 0777);
    put_tar(paths[1], &same);
    for (size_t i = 0; i < 3; i++) {
        datasets_options options = datasets_options_default();
        datasets_set *set;
        options.part = DATASETS_CHOSEN;
        options.fraction = 0.4;
        options.seed = 5;
        assert_int_equal(datasets_open(&set, &paths[i], 1, &options, NULL), VITC_OK);
        for (;;) {
            datasets_item item;
            bool end;
            assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
            if (end) break;
            strcat(chosen[i], strstr(item.path, "cat/"));
            datasets_item_free(&item);
        }
        datasets_close(set);
    }
    assert_in_range(strlen(chosen[0]), 10 * 10, 40 * 10);
    assert_string_equal(chosen[1], chosen[0]);
    assert_string_equal(chosen[2], chosen[0]);
}

/* ---- limits ---- */

static void large_members_are_items_with_a_reason(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    tar_add(&tar, "cat/1.jpg", "0123456789");
    tar_add(&tar, "cat/2.jpg", "0123456789x");
    tar_add(&tar, "cat/3.jpg", "3");
    put_tar("a.tar", &tar);
    const char *path = "a.tar";
    datasets_options options = datasets_options_default();
    options.max_file_size = 10;
    listing_of_options(&all, &path, 1, &options);
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.text,
                        "0 cat a.tar/cat/1.jpg =0123456789\n"
                        "1 cat a.tar/cat/2.jpg: too large: 11 bytes are more than the limit of 10\n"
                        "2 cat a.tar/cat/3.jpg =3\n");
}

/* Its 8 GiB are neither allocated nor there. */
static void sizes_that_are_not_there_are_not_believed(void **state)
{
    (void)state;
    static const unsigned long long sizes[] = {1ULL << 29, (1ULL << 33) - 1};
    for (size_t i = 0; i < 2; i++) {
        listing all;
        bytes tar = {0};
        tar_add_header(&tar, &(tar_header){.name = "cat/1.jpg", .size = sizes[i], .type = '0'});
        bytes_add_zeros(&tar, 5000);
        put_bytes("a.tar", tar.data, tar.size);
        bytes_free(&tar);
        listing_of(&all, "a.tar");
        assert_int_equal(all.status, VITC_ERR_TRUNCATED);
        assert_string_equal(all.said.text, "error: a.tar: is cut short within or behind cat/1.jpg; "
                                           "get or make the file again\n");
    }
}

/* ---- damage ---- */

static void make_three(bytes *tar, bool pairs)
{
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "cat/%d.jpg", i);
        tar_add(tar, name, "image");
        snprintf(name, sizeof name, "cat/%d.cls", i);
        if (pairs) tar_add(tar, name, "cat");
    }
    tar_add_end(tar);
}

/* Wherever a file is cut: what lies before is given, and then it fails and says so. */
static void what_lies_before_a_cut_is_given(void **state)
{
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        bytes tar = {0};
        make_three(&tar, pairs != 0);
        const size_t image = (size_t)TAR_BLOCK * (pairs != 0 ? 4 : 2);
        const size_t last = strlen(pairs != 0 ? "cat" : "image");
        /* Before the first label nothing tells a pair from an image in a folder. */
        const size_t least = pairs != 0 ? 3 * TAR_BLOCK : 0;
        for (size_t size = least; size < tar.size - TAR_BLOCK; size += 100) {
            /* A member is whole with its last byte; a pair is, once its label is. */
            const size_t wanted = size / image + (size % image >= image - TAR_BLOCK + last ? 1 : 0);
            listing all;
            put_bytes("cut.tar", tar.data, size);
            const char *path = "cut.tar";
            const datasets_options options = datasets_options_default();
            listing_of_options(&all, &path, 1, &options);
            size_t images = 0;
            for (const char *at = all.text; (at = strstr(at, "=image\n")) != NULL; at++) images++;
            if (size >= TAR_BLOCK) {
                assert_int_equal(all.status, VITC_ERR_TRUNCATED);
                assert_int_equal(images, wanted < 3 ? wanted : 3);
            } else {
                assert_int_equal(all.status, VITC_ERR_UNSUPPORTED);
            }
            assert_int_equal(strncmp(all.said.text, "error: cut.tar: ", 16), 0);
            assert_ptr_equal(strchr(all.said.text, '\n'),
                             all.said.text + strlen(all.said.text) - 1);
        }
        bytes_free(&tar);
    }
}

/* A set that failed goes on failing. */
static void what_failed_stays_failed(void **state)
{
    (void)state;
    for (int pairs = 0; pairs < 2; pairs++) {
        bytes tar = {0};
        datasets_set *set;
        datasets_item item;
        bool end;
        const char *path = "cut.tar";
        const datasets_options options = datasets_options_default();
        make_three(&tar, pairs != 0);
        put_bytes(path, tar.data, (size_t)TAR_BLOCK * 9 / 2);
        bytes_free(&tar);
        assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
        size_t images = 0;
        while (datasets_next(&item, &end, set, NULL) == VITC_OK) {
            assert_false(end);
            datasets_item_free(&item);
            images++;
        }
        assert_int_equal(images, pairs != 0 ? 1 : 2);
        for (int i = 0; i < 3; i++) {
            said heard;
            const vitc_log log = said_start(&heard);
            assert_int_equal(datasets_next(&item, &end, set, &log), VITC_ERR_TRUNCATED);
            assert_int_equal(strncmp(heard.text, "error: cut.tar: ", 16), 0);
        }
        datasets_close(set);
    }
}

static void a_bad_header_ends_the_set(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    make_three(&tar, false);
    tar.data[TAR_BLOCK * 4 + 3] ^= 1;
    put_bytes("bad.tar", tar.data, tar.size);
    listing_of(&all, "bad.tar");
    assert_int_equal(all.status, VITC_ERR_CORRUPT);
    assert_string_equal(all.text,
                        "0 cat bad.tar/cat/0.jpg =image\n1 cat bad.tar/cat/1.jpg =image\n");
    assert_string_equal(all.said.text,
                        "error: bad.tar: is damaged behind cat/1.jpg, where no tar header follows; "
                        "get or make the file again\n");
    bytes_free(&tar);
}

static void other_files_are_no_tar_files(void **state)
{
    (void)state;
    static const struct {
        const char *path, *bytes;
        size_t size;
        const char *said;
    } cases[] = {
        {"text.tar", "no tar file", 11, "text.tar: is no tar file, plain or gzip"},
        {"gz.tgz", "\x1F\x8B\x08", 3, "gz.tgz: it is cut short: its gzip data ends early"},
        {"x.tar.xz",
         "\xFD"
         "7zXZ\0",
         6, "x.tar.xz: compressed by xz, which is not read"},
        {"x.tar", "\x28\xB5\x2F\xFD", 4, "x.tar: compressed by zstd, which is not read"},
        {"x.tbz2", "BZh91AY", 7, "x.tbz2: compressed by bzip2, which is not read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        listing all;
        put_bytes(cases[i].path, cases[i].bytes, cases[i].size);
        listing_of(&all, cases[i].path);
        assert_int_not_equal(all.status, VITC_OK);
        if (strstr(all.said.text, cases[i].said) == NULL)
            fail_msg("%s: \"%s\"", cases[i].path, all.said.text);
    }
}

/* A tar file of another name is known by its first header. */
static void tar_files_are_known_by_name_or_header(void **state)
{
    (void)state;
    listing all;
    bytes tar = {0};
    make_three(&tar, false);
    put_bytes("noname", tar.data, tar.size);
    bytes_free(&tar);
    listing_of(&all, "noname");
    assert_int_equal(all.status, VITC_OK);
    assert_int_equal(all.kind, DATASETS_TAR);
    assert_int_equal(all.survey.images, 3);
}

/* ---- gzip ---- */

static const char three_images[] = "0 cat a.tgz/cat/0.jpg =image\n"
                                   "1 cat a.tgz/cat/1.jpg =image\n"
                                   "2 cat a.tgz/cat/2.jpg =image\n";

static void gzip_is_verified_to_its_end(void **state)
{
    (void)state;
    enum { GOOD, CHECK_SUM, LENGTH, CUT, ZEROS, GARBAGE, TWO, CASES };
    static const struct {
        vitc_status status;
        const char *said;
    } cases[CASES] = {
        [GOOD] = {VITC_OK, ""},
        [CHECK_SUM] = {VITC_ERR_CORRUPT, "its gzip check sum is wrong: the data is damaged"},
        [LENGTH] = {VITC_ERR_CORRUPT, "its gzip check sum is wrong: the data is damaged"},
        [CUT] = {VITC_ERR_TRUNCATED, "it is cut short: its gzip data ends early"},
        [ZEROS] = {VITC_OK, ""},
        [GARBAGE] = {VITC_ERR_CORRUPT, "behind its gzip data lie bytes that are none"},
        [TWO] = {VITC_OK, ""},
    };
    for (int pairs = 0; pairs < 2; pairs++) {
        for (int i = 0; i < CASES; i++) {
            listing all;
            bytes tar = {0}, packed = {0};
            make_three(&tar, pairs != 0);
            const size_t first = i == TWO ? 777 : tar.size;
            bytes_add_gzip(&packed, tar.data, first);
            if (i == CHECK_SUM) packed.data[packed.size - 8] ^= 1;
            if (i == LENGTH) packed.data[packed.size - 1] ^= 1;
            if (i == CUT) packed.size -= 4;
            if (i == ZEROS) bytes_add_zeros(&packed, 1000);
            if (i == GARBAGE) bytes_add(&packed, "\0\0more", 6);
            if (i == TWO) bytes_add_gzip(&packed, tar.data + first, tar.size - first);
            put_bytes("a.tgz", packed.data, packed.size);
            bytes_free(&tar);
            bytes_free(&packed);
            listing_of(&all, "a.tgz");
            assert_int_equal(all.status, cases[i].status);
            assert_non_null(strstr(all.said.text, cases[i].said));
            if (cases[i].status == VITC_OK) assert_string_equal(all.said.text, "");
            assert_string_equal(all.text, three_images);
        }
    }
}

/* A bit turned over anywhere behind gzip's own header is seen, unless it makes no difference (zeros
 * copied from another place). */
static void damage_to_gzip_is_seen(void **state)
{
    (void)state;
    bytes tar = {0}, packed = {0};
    size_t seen = 0;
    make_three(&tar, false);
    bytes_add_gzip(&packed, tar.data, tar.size);
    for (size_t i = 10; i < packed.size; i++) {
        listing all;
        packed.data[i] ^= 0x10;
        put_bytes("a.tgz", packed.data, packed.size);
        packed.data[i] ^= 0x10;
        listing_of(&all, "a.tgz");
        seen += all.status != VITC_OK;
        if (all.status == VITC_OK)
            assert_string_equal(all.text, three_images);
        else
            assert_int_equal(strncmp(all.said.text, "error: a.tgz: ", 14), 0);
    }
    assert_true(seen >= (packed.size - 10) * 9 / 10);
    bytes_free(&tar);
    bytes_free(&packed);
}

/* ---- pipes ---- */

static void pipes_are_read_as_they_come(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        listing all;
        bytes tar = {0}, zipped = {0};
        make_three(&tar, true);
        bytes_add_gzip(&zipped, tar.data, tar.size);
        const bytes *sent = packed ? &zipped : &tar;
        (void)unlink("pipe");
        assert_int_equal(mkfifo("pipe", 0600), 0);
        const pid_t writer = fork();
        if (writer == 0) {
            const int fd = open("pipe", O_WRONLY);
            size_t written = 0;
            while (written < sent->size) {
                const ssize_t n = write(fd, sent->data + written, sent->size - written);
                if (n <= 0) _exit(1);
                written += (size_t)n;
            }
            _exit(0);
        }
        assert_true(writer > 0);
        listing_of(&all, "pipe");
        int exit_status;
        assert_int_equal(waitpid(writer, &exit_status, 0), writer);
        assert_int_equal(exit_status, 0);
        assert_int_equal(all.status, VITC_OK);
        assert_false(all.survey.counted);
        assert_string_equal(all.text, "0 cat pipe/cat/0.jpg =image\n"
                                      "1 cat pipe/cat/1.jpg =image\n"
                                      "2 cat pipe/cat/2.jpg =image\n");
        bytes_free(&tar);
        bytes_free(&zipped);
    }
}

/* ---- memory ---- */

static vitc_status read_all(void *user)
{
    const char *path = user;
    const datasets_options options = datasets_options_default();
    datasets_set *set;
    datasets_survey survey;
    VITC_TRY(datasets_open(&set, &path, 1, &options, NULL));
    vitc_status status = datasets_survey_set(&survey, set, NULL, NULL, NULL);
    for (bool end = false; status == VITC_OK && !end;) {
        datasets_item item;
        status = datasets_next(&item, &end, set, NULL);
        /* An item that names no file for want of memory may lose its reason, not its status. */
        if (status == VITC_OK) datasets_item_free(&item);
    }
    datasets_close(set);
    return status;
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    static char folders[] = "f.tar", pairs[] = "p.tgz", range[] = "r{0..1}.tar";
    bytes tar = {0};
    tar_add(&tar, "cat/1.jpg", "1");
    tar_add_header(&tar, &(tar_header){.name = "cat/2.jpg", .type = '2', .link = "1.jpg"});
    put_tar(folders, &tar);
    tar_add(&tar, "0.jpg", "0");
    tar_add(&tar, "0.json", "{\"label\": \"cat\"}");
    tar_add(&tar, "1.jpg", "1");
    tar_add(&tar, "1.cls", "dog");
    put_tar(pairs, &tar);
    put_shard("r0.tar", "cat/0.jpg", "0");
    put_shard("r1.tar", "dog/1.jpg", "1");
    malloc_fail_each(read_all, folders);
    malloc_fail_each(read_all, pairs);
    malloc_fail_each(read_all, range);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_folder_enter, set_folder_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(folders_of_members_are_classes),
        IN_FOLDER(many_members_come_in_order),
        IN_FOLDER(names_of_every_kind_are_read),
        IN_FOLDER(what_is_no_file_is_an_item_with_a_reason),
        IN_FOLDER(sparse_files_have_zeros_in_their_holes),
        IN_FOLDER(a_tar_file_may_have_idx_in_its_name),
        IN_FOLDER(without_labels_every_file_is_an_image),
        IN_FOLDER(pairs_have_labels_beside_images),
        IN_FOLDER(pairs_that_lack_something_are_items_with_a_reason),
        IN_FOLDER(numbers_are_lines_of_the_class_names),
        IN_FOLDER(large_first_images_are_seen_to_be_pairs),
        IN_FOLDER(the_first_names_decide),
        IN_FOLDER(ranges_are_several_files),
        IN_FOLDER(ranges_are_written_as_in_shells),
        IN_FOLDER(two_archives_in_one_file_are_one),
        IN_FOLDER(unwanted_images_are_passed_over),
        IN_FOLDER(parts_do_not_depend_on_the_tar_file),
        IN_FOLDER(large_members_are_items_with_a_reason),
        IN_FOLDER(sizes_that_are_not_there_are_not_believed),
        IN_FOLDER(what_lies_before_a_cut_is_given),
        IN_FOLDER(what_failed_stays_failed),
        IN_FOLDER(a_bad_header_ends_the_set),
        IN_FOLDER(other_files_are_no_tar_files),
        IN_FOLDER(tar_files_are_known_by_name_or_header),
        IN_FOLDER(gzip_is_verified_to_its_end),
        IN_FOLDER(damage_to_gzip_is_seen),
        IN_FOLDER(pipes_are_read_as_they_come),
        IN_FOLDER(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
