"""What is trained: a causal language model and a value head beside it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dialog_gym.lm.loading import plain_model


class LanguageModel(nn.Module):
    """A language model that evaluates chosen positions of many dialogues.

    The value head reads the model's last states but sends no gradient into them: it would be of another size
    than the policy's, and a small model would unlearn its language for it.
    """

    def __init__(self, model: Any) -> None:
        """Takes a Hugging Face causal language model, or a `peft.PeftModel` around one."""
        super().__init__()
        self.model = model
        width = plain_model(model).config.get_text_config(decoder=True).hidden_size
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.value_net = nn.Sequential(nn.Linear(width, width), nn.GELU(), last).to(self.device)
        self._plain_head = self._has_plain_head()
        every = self.named_parameters(remove_duplicate=False)
        self._fixed = frozenset(name for name, p in every if not p.requires_grad)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return plain_model(self.model).device

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """What training changes: with LoRA the adapters, which are small beside the model."""
        found: dict[str, Any] = super().state_dict(*args, **options)
        return {name: values for name, values in found.items() if name not in self._fixed}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take up what `state_dict` gave."""
        fixed = {name: values for name, values in super().state_dict().items() if name in self._fixed}
        return super().load_state_dict({**fixed, **state_dict}, strict, assign)

    def forward(self, ids: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Logits after chosen tokens, and all states.

        No mask is needed: attention is causal, so no token of a dialogue sees the padding behind it.

        Args:
            ids: int64[D, L], right-padded.
            rows: int64[N], dialogues.
            columns: int64[N], tokens in them.

        Returns:
            float[N, V] and float[D, L, hidden].
        """
        if self._plain_head:
            states = self.states(ids)
            return self._logits(states[rows, columns]), states
        found = plain_model(self.model)(input_ids=ids, use_cache=False, output_hidden_states=True)
        return found.logits[rows, columns], found.hidden_states[-1]

    def states(self, ids: Tensor) -> Tensor:
        """All last states, float[D, L, hidden], of right-padded ids, int64[D, L]."""
        found: Tensor = plain_model(self.model).base_model(input_ids=ids, use_cache=False).last_hidden_state
        return found

    def value(self, states: Tensor) -> Tensor:
        """float32[N], expected return after states, float[N, hidden]."""
        found: Tensor = self.value_net(states.detach())
        return found.squeeze(-1).float()

    def _logits(self, states: Tensor) -> Tensor:
        head: Any = plain_model(self.model).get_output_embeddings()  # type: ignore[no-untyped-call]
        found: Tensor = head(states)
        return found

    @torch.no_grad()
    def _has_plain_head(self) -> bool:
        """Whether logits are the output layer's; some models scale or cap them, and are run as a whole."""
        ids = torch.arange(4, device=self.device)[None]
        expected = plain_model(self.model)(input_ids=ids, use_cache=False).logits
        return bool(torch.allclose(self._logits(self.states(ids)), expected, rtol=1e-3, atol=1e-4))
