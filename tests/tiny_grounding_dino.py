"""A GroundingDINO of transformers' real classes with few and random weights, and words for it."""


def write_bert(folder):
    """A tokenizer with BERT's own numbers for its signs, and few words."""
    from transformers import BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    words = [f"[unused{number}]" for number in range(1600)]
    for number, word in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}.items():
        words[number] = word
    words[1012], words[1029], words[1500] = ".", "?", "person"
    (folder / "vocab.txt").write_text("\n".join(words))
    return BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))


def swin(**sizes):
    """The backbone's configuration, with the outputs that the detector reads."""
    from transformers import SwinConfig

    return SwinConfig(out_features=["stage2", "stage3", "stage4"], **sizes)


def write_processor(folder, shortest):
    """What makes the detector's input of pictures and words; the longer side is at most 1.5 times the shorter."""
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    pictures = GroundingDinoImageProcessor(size={"shortest_edge": shortest, "longest_edge": shortest * 3 // 2})
    GroundingDinoProcessor(pictures, write_bert(folder)).save_pretrained(folder)


def write_detector(folder):
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection

    backbone = swin(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2)
    text = BertConfig(vocab_size=1600, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        d_model=32,
        encoder_layers=2,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_ffn_dim=16,
        decoder_attention_heads=2,
        num_queries=10,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    write_processor(folder, shortest=160)
    return folder
