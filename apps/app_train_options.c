/* The options of vitc train; those that it shares with other commands are in app_options.c. */
#include "app_option_rows.h"
#include "app_options.h"
#include "app_train_recipe.h"

#define FIELD(name) offsetof(app_settings, train.name)
#define OTHER(name) offsetof(app_settings, name)
#define HEADING(text)                                                                              \
    {                                                                                              \
        "train", 0, text, OPTION_HEADING, NULL, 0, 0, 0, NULL, NULL                                \
    }
#define ROW(name, kind, argument, offset, low, high, help)                                         \
    {                                                                                              \
        "train", 0, name, kind, argument, offset, low, high, NULL, help                            \
    }
/* No limit that a person would come near. */
#define MOST  1000000000
#define SIDE  65535
#define LARGE UINT32_MAX

const app_option app_train_options[] = {
    HEADING("The run"),
    {"train", 'o', "out", OPTION_TEXT, "DIR", OTHER(out), 0, 0, NULL,
     "The folder of the run: models, settings, metrics, checkpoints. It must not be there yet, or "
     "be empty."},
    ROW("resume", OPTION_FLAG, NULL, OTHER(resume), 0, 0,
        "Go on with the run in --out, or begin it. The folder knows its data and all that decides "
        "the result; what is given and differs is told, and nothing is changed."),
    ROW("name", OPTION_TEXT, "NAME", OTHER(name), 0, 0,
        "What the model is called in its card, report and curves (default: the folder's name)."),
    ROW("export", OPTION_LIST, "hf|timm", OTHER(exports), 0, 0,
        "At the end also write the best model as a folder that transformers (hf) or timm load. Can "
        "be given twice."),
    ROW("checkpoint-minutes", OPTION_NUMBER, "M", OTHER(checkpoint_minutes), 0, MOST,
        "Write the state of the run after each epoch, and when M minutes have passed (default 5; "
        "0: after each step)."),
    ROW("val-every", OPTION_COUNT, "N", FIELD(val_every), 1, MOST,
        "Measure on the validation images after every N epochs (default 1), and after the last."),
    ROW("json", OPTION_FLAG, NULL, OTHER(json), 0, 0,
        "One JSON object for each epoch, as in metrics.jsonl, instead of the table."),

    HEADING("The data"),
    ROW("val", OPTION_LIST, "DATA", OTHER(val_data), 0, 0,
        "Labelled images to measure on, which are not trained on. Can be given several times for "
        "one set."),
    ROW("val-split", OPTION_NUMBER, "F", FIELD(val_split), 0, 1,
        "Without --val: hold out about this share of the images (default 0.15), the same as vitc "
        "eval --val-split with the same --seed. 0: none, train on all."),
    ROW("class-names", OPTION_TEXT, "FILE", FIELD(class_names), 0, 0,
        "The names of the classes of IDX or CIFAR files, one to a line."),
    ROW("no-exif", OPTION_FLAG, NULL, FIELD(no_exif), 0, 0,
        "Take photos as stored instead of turning them upright."),
    ROW("max-pixels", OPTION_COUNT, "N", FIELD(max_pixels), 1, INT64_MAX,
        "Refuse images of more than N pixels (default 100000000)."),
    ROW("seed", OPTION_COUNT, "N", FIELD(seed), 0, INT64_MAX,
        "Another number is another run: first weights, order, augmentation, split (default 0)."),

    HEADING("The model"),
    {"train", 'm', "model", OPTION_TEXT, "PATH|bundled", FIELD(model), 0, 0, NULL,
     "Fine-tune this model, or the one built into this program: it gets a new head for the classes "
     "of the data, unless it has these very classes. Default: begin with random weights."},
    ROW("config", OPTION_TEXT, "NAME", FIELD(config), 0, 0,
        "From scratch: a named configuration (vit-ti16, the default, vit-s16, vit-b16, vit-l16, "
        "vit-h14), which the options below change."),
    ROW("img-size", OPTION_SIZE, "N|HxW", FIELD(image_size), 0, 0,
        "Pixels of the model's images, multiples of the patch (default 224, or those of -m; at "
        "another size the positions of -m are resampled)."),
    ROW("patch", OPTION_COUNT, "N", FIELD(patch), 1, SIDE, "Side of a patch in pixels (16)."),
    ROW("dim", OPTION_COUNT, "N", FIELD(dim), 1, LARGE, "Width of the tokens."),
    ROW("depth", OPTION_COUNT, "N", FIELD(depth), 1, LARGE, "Number of blocks."),
    ROW("heads", OPTION_COUNT, "N", FIELD(heads), 1, LARGE,
        "Attention heads (default with --dim: one for each 64 of it)."),
    ROW("mlp", OPTION_COUNT, "N", FIELD(mlp), 1, LARGE,
        "Width of the MLP's hidden layer (default with --dim: four times that)."),
    ROW("pool", OPTION_CHOICE, "token|avg", FIELD(pool), VIT_POOL_TOKEN, 0,
        "What is classified: a class token (default), or the mean of the patches, without one."),
    ROW("pos", OPTION_CHOICE,
        "none|learned-1d|learned-2d|factorized-sum|sincos-2d|relative|rope-2d", FIELD(position),
        PATCHES_POSITION_NONE, 0,
        "Position embeddings (default learned-2d: one table for rows, one for columns)."),
    ROW("pos-op", OPTION_CHOICE, "add|mul", FIELD(position_op), PATCHES_POSITION_ADD, 0,
        "How a table of them is combined with tokens: x + p (default), or x (1 + p)."),
    ROW("pos-at", OPTION_CHOICE, "stem|every|every-shared", FIELD(position_at),
        PATCHES_POSITION_STEM, 0,
        "Where positions come in: with the patches' embedding (default; not for relative and "
        "rope-2d), or in every block, with parameters of its own or shared ones (default of "
        "relative and rope-2d)."),
    ROW("pos-std", OPTION_NUMBER, "S", FIELD(position_std), 0, 100,
        "Deviation of the first random values of learned tables (default 0.02)."),

    HEADING("Optimization"),
    ROW("epochs", OPTION_COUNT, "N", FIELD(epochs), 1, (1 << 24) - 1,
        "Passes through the training images (default 100; fine-tuning as many as make 500 steps, "
        "at least 20 and at most 100)."),
    ROW("batch", OPTION_COUNT, "N", FIELD(batch), 2, 65536,
        "Most images of one pass, an even number (default 128, fine-tuning 64; fewer, but not "
        "under 8, where an epoch would have less than 8 steps). An epoch is cut into steps of as "
        "equal a size as possible."),
    ROW("accumulate", OPTION_COUNT, "N", FIELD(accumulate), 1, 65536,
        "Passes whose gradients make one step (default 1)."),
    ROW("max-steps", OPTION_COUNT, "N", FIELD(max_steps), 1, INT64_MAX,
        "End after N steps, even if epochs are left; the schedule ends there too, and what depends "
        "on the number of epochs on those that there are."),
    ROW("optimizer", OPTION_CHOICE, "adamw|sgd|muon", FIELD(optimizer), VIT_OPTIMIZER_ADAMW, 0,
        "AdamW (default); gradient descent with momentum; Muon for the matrices of the blocks, "
        "with AdamW for the rest."),
    ROW("lr", OPTION_NUMBER, "R", FIELD(lr), 0, 1000,
        "Learning rate after the warm-up. Default: 0.001 at 128 images a step, fine-tuning 0.0003, "
        "head alone 0.003 (muon from scratch 0.004; sgd 0.05, 0.01, 0.1), times the root of the "
        "images over 128."),
    ROW("min-lr", OPTION_NUMBER, "R", FIELD(min_lr), 0, 1000,
        "Learning rate at the end (default: 1/100 of --lr; with --schedule step 0)."),
    ROW("schedule", OPTION_CHOICE, "cosine|constant|step", FIELD(schedule), VIT_SCHEDULE_COSINE, 0,
        "How the learning rate comes down (default cosine)."),
    ROW("step-epochs", OPTION_NUMBER, "N", FIELD(step_epochs), 0, MOST,
        "With --schedule step: epochs between two reductions (default 30)."),
    ROW("step-factor", OPTION_NUMBER, "F", FIELD(step_factor), 0, 1,
        "With --schedule step: what the learning rate is multiplied by (default 0.1)."),
    ROW("warmup", OPTION_NUMBER, "N", FIELD(warmup), 0, MOST,
        "Epochs in which the learning rate rises from 0 (default: a twentieth of all, at most "
        "10)."),
    ROW("weight-decay", OPTION_NUMBER, "W", FIELD(weight_decay), 0, 1000,
        "Weight decay of matrices; norms, biases, positions and tokens have none (default 0.05; "
        "sgd 0.0001)."),
    ROW("beta2", OPTION_NUMBER, "B", FIELD(beta2), 0, 1,
        "AdamW's beta2, also where muon uses AdamW (default 0.999)."),
    ROW("momentum", OPTION_NUMBER, "M", FIELD(momentum), 0, 1,
        "Momentum of sgd and muon; adamw's beta1 (default 0.9, muon 0.95)."),
    ROW("clip", OPTION_NUMBER, "N", FIELD(clip), 0, MOST,
        "Largest norm of all gradients together (default 1; 0: no limit)."),
    ROW("layer-decay", OPTION_NUMBER, "F", FIELD(layer_decay), 0, 1,
        "Factor on the learning rate from each block to the one before (default 1; fine-tuning "
        "0.75)."),
    ROW("ema", OPTION_NUMBER, "D", FIELD(ema), 0, 1,
        "Decay of a running average of the weights, which is measured too; the better of both is "
        "kept (default 0.9998; 0: none)."),
    ROW("freeze", OPTION_TEXT, "N|-N|head", FIELD(freeze), 0, 0,
        "With -m: leave the embeddings and the first N blocks as they are; -N: all but the last N; "
        "head: train the head alone (a linear probe)."),
    ROW("precision", OPTION_CHOICE, "f32|bf16", FIELD(precision), VIT_PRECISION_F32, 0,
        "Arithmetic of the products, muon's too (default f32). Weights, sums and what the "
        "optimizer keeps are f32 in both."),
    ROW("recompute", OPTION_FLAG, NULL, FIELD(recompute), 0, 0,
        "Compute activations again in the backward pass instead of keeping them: less memory, a "
        "third more time."),

    HEADING("Regularization"),
    ROW("smoothing", OPTION_NUMBER, "S", FIELD(smoothing), 0, 1, "Label smoothing (default 0.1)."),
    ROW("drop-path", OPTION_NUMBER, "P", FIELD(drop_path), 0, 1,
        "Stochastic depth of the last block; earlier ones have less (default 0; from scratch over "
        "100 epochs or more 0.1)."),
    ROW("dropout", OPTION_NUMBER, "P", FIELD(dropout), 0, 1,
        "Dropout after positions and at the end of each branch (default 0)."),
    ROW("patch-dropout", OPTION_NUMBER, "P", FIELD(patch_dropout), 0, 1,
        "Leave out this share of the patches, which saves as much time (default 0). Only with "
        "positions at the stem, or none."),
    ROW("patch-dropout-off", OPTION_NUMBER, "F", FIELD(patch_dropout_off), 0, 1,
        "Last share of the epochs in which no patches are left out (default 0.1)."),
    ROW("mixup", OPTION_NUMBER, "A", FIELD(mixup), 0, 1000,
        "Blend pairs of images by a share from Beta(A, A) (default 0; from scratch over 150 epochs "
        "or more 0.8)."),
    ROW("cutmix", OPTION_NUMBER, "A", FIELD(cutmix), 0, 1000,
        "Exchange rectangles between pairs (default 0; from scratch over 150 epochs or more 1)."),
    ROW("mix-prob", OPTION_NUMBER, "P", FIELD(mix_prob), 0, 1,
        "Share of the pairs that are mixed at all (default 0.5)."),
    ROW("mix-off", OPTION_NUMBER, "F", FIELD(mix_off), 0, 1,
        "Last share of the epochs in which no images are mixed (default 0.1)."),

    HEADING("Augmentation"),
    ROW("augment", OPTION_CHOICE, "none|light|cifar|randaugment|photos", FIELD(augment),
        APP_AUGMENT_NONE, 0,
        "What the options below begin with. none: resized only; light: a large part, mirrored or "
        "not; cifar: shifted, mirrored, AutoAugment; randaugment: a part, mirrored, RandAugment; "
        "photos: the same with colours, softness and sharpness (default: cifar for models of up to "
        "64 pixels, light for fine-tuning, else photos)."),
    ROW("crop-scale", OPTION_PAIR, "A,B", FIELD(crop_scale), 0, 1,
        "Cut out between A and B (default 1) of the area, in a shape near the picture's."),
    ROW("pad", OPTION_COUNT, "N", FIELD(pad), 0, SIDE,
        "Instead: shift the picture by up to N of its pixels, or of the model's where those are "
        "larger."),
    ROW("flip", OPTION_NUMBER, "P", FIELD(flip), 0, 1,
        "Probability that left and right are exchanged."),
    ROW("jitter", OPTION_NUMBER, "X", FIELD(jitter), 0, 100,
        "Change brightness, contrast and saturation by factors from 1 - X to 1 + X."),
    ROW("hue", OPTION_NUMBER, "X", FIELD(hue), 0, 1,
        "Turn the hue by up to X, at most 0.5, of a full circle."),
    ROW("randaugment", OPTION_PAIR, "N,M", FIELD(randaugment), 0, 30,
        "RandAugment: N operations of strength M, 0 to 30 (default 9); 0: no operations."),
    ROW("erase", OPTION_NUMBER, "P", FIELD(erase), 0, 1,
        "Probability that a rectangle is erased (default 0; from scratch over 150 epochs or more "
        "0.25)."),
    ROW("soften", OPTION_NUMBER, "P", FIELD(soften), 0, 1,
        "Probability that detail is taken away by making the picture smaller and larger again."),
    ROW("blur", OPTION_NUMBER, "P", FIELD(blur), 0, 1, "Probability of a Gaussian blur."),
    ROW("sharpen", OPTION_NUMBER, "P", FIELD(sharpen), 0, 1,
        "Probability that the picture is sharpened."),

    HEADING("Other"),
};
const size_t app_train_option_count = sizeof app_train_options / sizeof *app_train_options;
