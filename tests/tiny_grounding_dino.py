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


def write_detector(folder):
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )
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
    size = {"shortest_edge": 160, "longest_edge": 240}
    GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), write_bert(folder)).save_pretrained(folder)
    return folder
