"""Rules of question answering, for test_checks.py."""

DATA = "train_dataset."
TOKENIZER = "processor.tokenizer."
LOADER = f"{DATA}data_loader."
QUESTIONS = [
    "model.arch.type=BertForQuestionAnswering",
    "trainer.type=QuestionAnsweringTrainer",
    f"{LOADER}type=SQuADDataLoader",
    f"{DATA}max_seq_length=384",
]

# As in test_checks.py: check -> (options refused, key named, part of the message, options allowed)
QUESTION_RULES = {
    "questions_are_read": (
        [*QUESTIONS[:2], QUESTIONS[3], f"{LOADER}type=TextDataLoader"],
        f"{LOADER}type",
        "BertForQuestionAnswering reads questions; use SQuADDataLoader, not TextDataLoader",
        QUESTIONS,
    ),
    "windows_advance": (
        [*QUESTIONS, f"{DATA}doc_stride=317"],
        "train_dataset.doc_stride",
        "has room for 317; use at most 316",
        [*QUESTIONS, f"{DATA}doc_stride=316"],
    ),
    "answers_are_kept": (
        ["metric.n_best_size=3", "metric.top_k=4"],
        "metric.top_k",
        "4 answers are more than the 3 that n_best_size keeps",
        ["metric.n_best_size=3", "metric.top_k=3"],
    ),
    "questions_have_an_engine": (
        [*QUESTIONS, "use_parallel=True", "parallel.parallel_mode=1"],
        "parallel.parallel_mode",
        "trains language models only; use 3 (hybrid_parallel)",
        [*QUESTIONS, "use_parallel=True", "parallel.parallel_mode=3"],
    ),
    "questions_have_a_vocabulary": (
        [*QUESTIONS, f"{LOADER}dataset_dir=here.txt"],
        f"{TOKENIZER}vocab_file",
        "add --vocab_file vocab.txt",
        [*QUESTIONS, f"{LOADER}dataset_dir=here.txt", f"{TOKENIZER}vocab_file=here.txt"],
    ),
}
