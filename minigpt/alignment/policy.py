"""The policy that PPO trains: a chat model that writes, and a value head that predicts the reward."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from ..errors import UserError
from ..files import write_atomically
from ..model.chat_model import ChatModel
from ..model.checkpoint import VALUE_HEAD, read_head


class Policy(nn.Module):
    """`chat` writes; `value_head` reads the same hidden states. It starts at zero: nothing is predicted yet."""

    def __init__(self, chat: ChatModel) -> None:
        super().__init__()
        self.chat = chat
        self.model = chat.gpt
        self.value_head = nn.Linear(chat.gpt.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def values(self, ids: Tensor) -> Tensor:
        """What the policy expects to earn from each position on: [B, T] for ids [B, T]."""
        return self.value_head(self.model.hidden_states(ids)).squeeze(-1).float()


def save_value_head(folder: Path, policy: Policy) -> None:
    """Beside the model, for those who want to look inside: the model folder is whole without it."""
    write_atomically(
        folder / VALUE_HEAD, save({k: v.detach().cpu() for k, v in policy.value_head.state_dict().items()})
    )


def load_value_head(folder: Path, chat: ChatModel) -> Policy:
    """The policy of a folder that PPO wrote, with its chat model already loaded."""
    if not (folder / VALUE_HEAD).is_file():
        raise UserError(f"{folder} has no value head; only run_ppo.py writes one.")
    policy = Policy(chat)
    policy.value_head.load_state_dict(read_head(folder / VALUE_HEAD, chat.gpt.config.hidden_size))
    return policy.to(chat.device)
