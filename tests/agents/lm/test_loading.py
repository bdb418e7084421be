"""Loading models: any causal language model, and one clear line for what cannot be used."""

import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
transformers = pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.lm import loading  # noqa: E402
from dialog_gym.lm.loading import load, plain_model  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def broken(model_folder, tmp_path):
    """A copy of a model's folder to break."""
    return shutil.copytree(model_folder("llama"), tmp_path / "model")


def change(path, **values):
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, **values}))


def error(**options):
    with pytest.raises(DialogGymError) as found:
        load(**options)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_the_shipped_model_is_the_default():
    found = load()
    assert found.model.dtype == torch.float32
    assert not found.model.training
    assert found.stop == (found.tokenizer.eos_token_id,)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
def test_any_causal_language_model(model_folder, family):
    found = load(str(model_folder(family)))
    assert found.model.config.model_type == family
    assert found.model.dtype == torch.float32
    assert plain_model(found.model) is found.model


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("targets", ["auto", "all-linear"])
def test_adapters(model_folder, family, targets):
    found = load(str(model_folder(family)), lora=2, targets=targets)
    trained = [name for name, p in found.model.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    assert isinstance(plain_model(found.model), transformers.PreTrainedModel)
    assert len(plain_model(found.model).get_output_embeddings().weight) == 416


def test_paths_that_do_not_exist(tmp_path):
    for name in (tmp_path / "nowhere", "./nowhere", "~/nowhere", "a/b/c"):
        assert error(name=str(name)).startswith("there is no model folder")
    (tmp_path / "file").write_text("")
    assert error(name=str(tmp_path / "file")).startswith("there is no model folder")
    assert error(name=str(tmp_path)).endswith("is no model in Hugging Face format: it has no config.json")


def test_names_that_are_not_cached_offline(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = error(name="nobody/no-such-model")
    assert found.startswith(
        "'nobody/no-such-model' is neither a folder nor a model in the local Hugging Face"
    )


def test_no_chat_template(broken):
    (broken / "chat_template.jinja").unlink()
    assert "has no chat template; give an instruction-tuned model" in error(name=str(broken))


def test_nothing_that_ends_a_turn(broken):
    change(broken / "tokenizer_config.json", eos_token=None)
    change(broken / "config.json", eos_token_id=None)
    change(broken / "generation_config.json", eos_token_id=None)
    (broken / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert "names no token that ends a turn; set eos_token" in error(name=str(broken))


def test_the_model_s_own_stop_tokens_count(broken):
    change(broken / "generation_config.json", eos_token_id=[2, 9])
    assert load(str(broken)).stop == (2, 9)
    change(broken / "generation_config.json", eos_token_id=5000)
    assert "has eos_token_id (5000,), but the model embeds 416 tokens only" in error(name=str(broken))


def test_a_tokenizer_of_another_model(broken):
    tokenizer = transformers.AutoTokenizer.from_pretrained(broken)
    tokenizer.add_tokens([f"word{i}" for i in range(40)])
    tokenizer.save_pretrained(broken)
    assert "has token ids up to 439, the model embeds 416: they do not belong together" in error(
        name=str(broken)
    )


def test_damaged_files(broken):
    (broken / "model.safetensors").write_bytes(b"nothing")
    assert "cannot be loaded as a causal language model" in error(name=str(broken))
    (broken / "tokenizer.json").write_text("{")
    (broken / "config.json").write_text('{"model_type": "t5"}')
    assert "cannot be loaded as a causal language model" in error(name=str(broken))


def test_options_out_of_range(model_folder, tmp_path):
    name = str(model_folder("llama"))
    assert "give auto, cpu or cuda" in error(name=name, device="abacus")
    assert error(name=name, lora=-1).startswith("the rank of LoRA is -1")
    assert "does not fit the model" in error(name=name, lora=2, adapter=tmp_path)


def test_progress_bars_are_as_before():
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    with loading.quiet():
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled() == before
