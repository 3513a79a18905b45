"""The method card of a model: methods side by side, judged by refits of that very model, with what each costs."""
