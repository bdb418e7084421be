"""The language-model backbone: a causal language model plays in words or acts; its tokens are decisions."""

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dialog_gym.agents.learning.algorithm import option
from dialog_gym.agents.learning.casebank import Cases
from dialog_gym.agents.learning.memory import Memory, Reading
from dialog_gym.agents.learning.rollout import Episodes, Evaluation, Rollout
from dialog_gym.agents.lm.demonstrations import LMLogged, demonstrations
from dialog_gym.agents.lm.evaluation import evaluate, values
from dialog_gym.agents.lm.network import LanguageModel
from dialog_gym.agents.lm.playing import Seats, places_in_groups, play_all
from dialog_gym.agents.lm.prompts import opened_by, system_message
from dialog_gym.agents.lm.reasoning import LMTasks, score_gradients
from dialog_gym.agents.lm.recall import CaseReader, new_reader, opening_of
from dialog_gym.agents.lm.server import ServerEngine
from dialog_gym.agents.lm.transcript import Judge, Shape, Transcript, as_rollout, written
from dialog_gym.core import DialogGymError, Observation
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.episode import Episode
from dialog_gym.lm.chat import OPENING, ChatFormat
from dialog_gym.lm.engine import Engine, Sampling, make_engine
from dialog_gym.lm.engine_llama import unfit
from dialog_gym.lm.engine_session import context_length
from dialog_gym.lm.loading import ADAPTER, Loaded, load, plain_model, quiet
from dialog_gym.noise import mix

MODEL, VALUE = "model", "value.safetensors"


@dataclass(frozen=True)
class LMConfig:
    """Which model plays, how it speaks, and where."""

    model: str = option("", "Folder or hub name of a causal language model; default the tiny one that ships.")
    dialect: Literal["text", "acts"] = option("text", "Whether the model speaks in words or in act notation.")
    prompt: Literal["compact", "desk", "full"] = option(
        "desk", "compact: the profile; desk: and what the shop's systems say of it; full: and its guidelines."
    )
    max_new_tokens: int = option(64, "Longest turn in tokens.")
    context: int = option(2048, "Longest dialogue in tokens, if the model has room for it.")
    temperature: float = option(1.0, "Divides the logits when dialogues are played to learn from.")
    lora: int = option(0, "Rank of LoRA adapters that are trained instead of the weights; 0: the weights.")
    lora_targets: Literal["auto", "all-linear"] = option(
        "auto", "Layers with adapters: those that peft knows for the model, or all linear ones."
    )
    lockstep: int = option(64, "Dialogues that are played at once.")
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "auto: bfloat16 products where the processor has them; fp32: none."
    )
    device: str = option("auto", "auto, cpu, cuda, ...")
    server: str = option("", "URL of an OpenAI-compatible server that samples; default: sampled here.")
    language_rewards: bool = option(False, "Add the seven language rewards, judged on the words.")
    corpus: bool = option(False, "Demonstrations are people's: train split, or 900 of validation's 999.")
    simulator: str = option("agenda", "Who words the customer's turns.")
    split: str = option("train", "Split that tasks come from.")
    level: int = option(3, "Difficulty 0-9.")


class LMPolicy:
    """A `Policy` whose decisions are a language model's tokens."""

    backbone = "lm"

    def __init__(
        self, domain: Any, config: LMConfig | None = None, *, seed: int = 0, loaded: Loaded | None = None
    ) -> None:
        """Loads the model.

        Args:
            domain: Where it plays.
            config: Options.
            seed: Of the weights that are not loaded: adapters and the value head.
            loaded: A model to use instead of loading ``config.model``.

        Raises:
            DialogGymError: the model cannot be loaded or hold a dialogue, or an option is out of range.
        """
        self.domain, self.config = domain, config or LMConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            chosen = self.config
            loaded = loaded or load(
                chosen.model, lora=chosen.lora, targets=chosen.lora_targets, device=chosen.device
            )
            self.module = LanguageModel(loaded.model)
        self.tokenizer = loaded.tokenizer
        opening = OPENING if self.config.prompt == "full" else ""
        self.chat = ChatFormat(loaded.tokenizer, opening=opening, stop=loaded.stop)
        limit = context_length(plain_model(loaded.model).config)
        self.shape = Shape(domain.max_turns, self.config.max_new_tokens, min(self.config.context, limit))
        self.sampling(self.config.temperature)
        self._envs: dict[str, DialogueEnv] = {}
        self._engine: Engine | None = None
        self.reader: CaseReader | None = None

    def clone(self) -> "LMPolicy":
        """A frozen copy; with LoRA it shares the frozen weights and has adapters of its own."""
        twin = copy.copy(self)
        shared = {id(p): p for p in self.module.parameters() if not p.requires_grad}
        twin.module = copy.deepcopy(self.module, shared).requires_grad_(False).eval()
        twin._engine = None
        return twin

    def on_split(self, split: str) -> "LMPolicy":
        """The same model, playing the tasks of another split."""
        twin = copy.copy(self)
        twin.config, twin._envs = replace(self.config, split=split), {}
        return twin

    # -- playing

    def collect(self, episodes: Episodes, generator: torch.Generator | None) -> Rollout:
        """Play dialogues to their ends; see `Policy.collect`. Without a generator, the likeliest tokens."""
        run = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
        temperature = 0.0 if generator is None else self.config.temperature
        seeds = [int(seed) for seed in episodes.seeds]
        # those of a group share the customer's seed, and must not share the agent's
        keys = [mix(run, s, n) for s, n in zip(seeds, places_in_groups(episodes.group), strict=True)]
        self.read_weights()
        games = self.env(episodes.scenario).begin_many(episodes.tasks.tolist(), seeds)
        played: list[tuple[Transcript, Episode]] = []
        for first in range(0, len(games), self.config.lockstep):
            part = slice(first, first + self.config.lockstep)
            seats = self.seats(keys[part], temperature)
            for row, game in enumerate(games[part]):
                seats.begin(row, self.transcript(game.observation))
            play_all(games[part], seats)
            played += zip(seats.transcripts, games[part], strict=True)
        rollout = as_rollout(played, episodes.group, self.shape, self.judge())
        if self.reader is None:
            return rollout
        return self.reader.annotated(rollout, games, [self.system(game.observation) for game in games])

    def remember(self, reading: Reading, seed: int = 0) -> Memory:
        """Play with an empty memory from now on, and give it away."""
        self.reader = new_reader(self, reading, seed)
        return self.reader.memory

    def cases(self, rollout: Rollout, success: Tensor) -> Cases:
        """One case per dialogue, bool[D] of which ended well."""
        assert self.reader is not None
        return self.reader.cases(rollout, success)

    def env(self, scenario: str) -> DialogueEnv:
        """The environment of a scenario."""
        if scenario not in self._envs:
            chosen = self.config
            place: dict[str, Any] = {"split": chosen.split, "level": chosen.level, "scenario": scenario}
            self._envs[scenario] = DialogueEnv(self.domain, simulator=chosen.simulator, **place)
        return self._envs[scenario]

    def seats(self, keys: Sequence[int], temperature: float) -> Seats:
        """Room for dialogues with the present weights.

        Args:
            keys: Each dialogue's randomness.
            temperature: 0 takes the likeliest token.
        """
        return Seats(self.engine(), self.chat, self.sampling(temperature), keys, self.shape.context)

    def sampling(self, temperature: float, longest: int | None = None) -> Sampling:
        """How turns of at most ``longest`` tokens (default as in dialogues) are sampled."""
        return Sampling(self.chat.stop, longest or self.config.max_new_tokens, temperature)

    def engine(self) -> Engine:
        """The sampler; where there is one already, see `read_weights`."""
        if self._engine is None:
            self._engine = self._new_engine()
        return self._engine

    def read_weights(self) -> None:
        """Have an earlier engine read the weights again: they may have been trained since."""
        if self._engine is not None:
            self._engine.refresh()

    def _new_engine(self) -> Engine:
        if self.config.server:
            publish = self.module.model.save_pretrained if self.config.lora else None
            return ServerEngine(self.config.server, publish=publish)
        model = plain_model(self.module.model)
        half = torch.bfloat16 if not unfit(model) else None
        return make_engine(model, dtype=half if self.half_precision() else torch.float32)

    def transcript(self, observation: Observation) -> Transcript:
        """What the model has read when it is its turn."""
        system = self.system(observation)
        if self.reader is not None:
            system = self.reader.shown(system, opening_of(observation.dialogue))
        desk = self.domain.desk(observation.profile) if self.notes else None
        return written(self.chat, system, observation.dialogue, self.config.dialect, desk)

    @property
    def notes(self) -> bool:
        """Whether the shop's systems are quoted in the course of a dialogue; see `envs.lanes.Desk`."""
        return hasattr(self.domain, "desk") and self.config.prompt != "compact"

    def system(self, observation: Observation) -> str:
        """The system message of a dialogue, without cases; what notes give out is left to them."""
        dialect, style, rules = self.config.dialect, self.config.prompt, observation.guidelines
        about = {} if self.notes and style == "desk" else observation.profile
        opened = opened_by(observation.dialogue)
        return system_message(about, rules, dialect=dialect, style=style, opened=opened)

    def judge(self) -> Judge:
        """Gives the rewards of finished episodes."""
        return Judge(self.domain, language=self.config.language_rewards)

    def demonstrations(self, count: int, seed: int, scenario: str = "proactive_sale") -> Rollout:
        """Calls of the mixed population; see `dialog_gym.agents.lm.demonstrations`."""
        return demonstrations(self, count, seed, scenario)

    def logged(self, count: int, seed: int, scenario: str = "proactive_sale") -> LMLogged:
        """Calls of the mixed population, any turn of which can be answered anew."""
        return LMLogged(self, count, seed, scenario)

    # -- learning

    def evaluate(self, rollout: Rollout, *, value: bool = False) -> Evaluation:
        """Log-probabilities, entropies and values of a rollout's decisions now."""
        return evaluate(
            self.module,
            rollout,
            temperature=self.config.temperature or 1.0,
            value=value,
            precision=self._precision(),
        )

    def values(self, rollout: Rollout) -> Tensor:
        """Expected return before each turn, without gradients."""
        return values(self.module, rollout, self._precision())

    def reasoning(self, split: str) -> LMTasks:
        """MORE's reasoning tasks on a split's customers."""
        return LMTasks(self, split)

    def score_gradients(self, rollout: Rollout) -> Tensor:
        """Gradient of each dialogue's log-likelihood in the output layer's weights, float32[D, V * H]."""
        temperature = self.config.temperature or 1.0
        return score_gradients(self.module, rollout, temperature, self._precision())

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.module.device.type, torch.bfloat16, enabled=self.half_precision())

    def half_precision(self) -> bool:
        """Whether products are computed in bfloat16; where it is emulated, it is slower than float32."""
        if self.config.precision != "auto":
            return self.config.precision == "bf16"
        if self.module.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    # -- on disk

    def save(self, folder: Path) -> None:
        """Write the weights into an existing folder: the model or its adapters in their own formats.

        Adapters are written without the model that they belong to: it is loaded again by its name.
        """
        with quiet():
            if self.config.lora:
                self.module.model.save_pretrained(folder / ADAPTER)
            else:
                self.module.model.save_pretrained(folder / MODEL)
                self.tokenizer.save_pretrained(folder / MODEL)
        weights = self.module.value_net.state_dict()
        save_file({name: values.cpu() for name, values in weights.items()}, folder / VALUE)
        if self.reader is not None:
            self.reader.memory.save(folder)

    @classmethod
    def load(cls, folder: Path, domain: Any, config: LMConfig | None = None) -> "LMPolicy":
        """The policy whose weights `save` wrote.

        Args:
            folder: Where they are.
            domain: Where it plays.
            config: Its options; ``model`` only counts with LoRA, as the model that the adapters belong to.

        Raises:
            DialogGymError: weights are missing or damaged, or belong to another model.
        """
        config = config or LMConfig()
        adapter = folder / ADAPTER if config.lora else None
        model = config.model if config.lora else str(folder / MODEL)
        found = cls(domain, config, loaded=load(model, adapter=adapter, device=config.device))
        try:
            found.module.value_net.load_state_dict(load_file(folder / VALUE))
        except Exception as error:  # missing or damaged files fail in many ways
            raise DialogGymError(f"{folder / VALUE} is not the value head of this model: {error}") from None
        return found
