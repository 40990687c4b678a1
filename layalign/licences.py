"""Under which terms the models of a bridge stand, as far as that is known here; the page of a model decides.

A reminder of 2026-11-28, not read off the pages one by one. A bridge is trained on the states and gradients of both
its models: terms that restrict the use of one restrict the use of the bridge.
"""

from __future__ import annotations

from pathlib import PurePath

NON_COMMERCIAL = "non-commercial use only"
LICENCES = {
    "nllb": f"CC BY-NC 4.0: {NON_COMMERCIAL}",
    "aya-101": "Apache-2.0",
    "aya": f"CC BY-NC 4.0: {NON_COMMERCIAL}, and Cohere's acceptable use policy",
    "c4ai": f"CC BY-NC 4.0: {NON_COMMERCIAL}, and Cohere's acceptable use policy",
    "gemma": "Gemma Terms of Use, whose restrictions go with what is made from the model",
    "llama-3.1": "Llama 3.1 Community License",
    "llama-3.2": "Llama 3.2 Community License",
    "llama-3.3": "Llama 3.3 Community License",
    "llama-3": "Llama 3 Community License",
    "llama-2": "Llama 2 Community License",
    "metamath": "Llama 2 Community License",
    "qwen3": "Apache-2.0",
    "phi-3": "MIT",
    "olmo-2": "Apache-2.0",
    "mistral-7b": "Apache-2.0",
    "umt5": "Apache-2.0",
    "mt5": "Apache-2.0",
    "byt5": "Apache-2.0",
    "afriteva": "Apache-2.0",
    "m2m100": "MIT",
    "mmbert": "MIT",
    "xlm-roberta": "MIT",
    "eurobert": "Apache-2.0",
}
"""By what is in the last part of a model's name, the first that fits."""


def licence_of(model: str) -> str | None:
    """The terms of a model, by its hub name or the name of its folder; None where they are not known here."""
    name = PurePath(model.rstrip("/")).name.lower().replace("_", "-")
    return next((terms for part, terms in LICENCES.items() if part in name), None)
