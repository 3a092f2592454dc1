"""The ``scripted`` LLM: a small deterministic dialogue engine, for calls without a model.

words → pattern → automaton → matching       what a sentence is, and finding it in what was said
days, slots, filling                         what callers tell: days, times, names, choices
form, problems, building, reading → script   the YAML file, checked
hearing → dialogue → replay → chatter        one utterance, one conversation, the engine
grammar                                      the same script for a speech recogniser
"""

from parley.engines.llm.scripted.chatter import SPEC, ScriptedChatter, ScriptedOptions

__all__ = ["SPEC", "ScriptedChatter", "ScriptedOptions"]
