"""Each ranking metric once more, written as its formula says, in plain Python: slow, short, obviously right."""

from __future__ import annotations

from math import log, log2, nan


def ranked_list(scores, seen, k):
    """Score descending, then code ascending; nothing where all unseen items have one score."""
    candidates = [item for item in range(len(scores)) if item not in seen]
    if len(candidates) > 1 and len({scores[item] for item in candidates}) == 1:
        return []
    return sorted(candidates, key=lambda item: (-scores[item], item))[:k]


def found(ranked, targets):
    return sum(item in targets for item in ranked)


def precisions(ranked, targets):
    return sum(
        found(ranked[: i + 1], targets) / (i + 1)
        for i, item in enumerate(ranked)
        if item in targets
    )


def dcg(gains):
    return sum(gain / log2(i + 2) for i, gain in enumerate(gains))


def dcg_first_two_equal(gains):
    return sum(gain / log2(max(i + 1, 2)) for i, gain in enumerate(gains))


def mrr(ranked, targets):
    return next((1 / (i + 1) for i, item in enumerate(ranked) if item in targets), 0.0)


def graded(ranked, targets, k, gain):
    best = sorted((gain(value) for value in targets.values()), reverse=True)[:k]
    got = [gain(targets[item]) if item in targets else 0 for item in ranked]
    return dcg(got) / dcg(best) if any(best) else nan


AT_K = {
    "recall": lambda r, t, k: found(r, t) / len(t),
    "recall_capped": lambda r, t, k: found(r, t) / min(k, len(t)),
    "precision": lambda r, t, k: found(r, t) / k,
    "precision_listed": lambda r, t, k: found(r, t) / len(r) if r else 0.0,
    "hit": lambda r, t, k: 1.0 if found(r, t) else 0.0,
    "mrr": lambda r, t, k: mrr(r, t),
    "map": lambda r, t, k: precisions(r, t) / min(k, len(t)),
    "map_all_relevant": lambda r, t, k: precisions(r, t) / len(t),
    "map_hits": lambda r, t, k: precisions(r, t) / found(r, t) if found(r, t) else 0.0,
    "map_listed": lambda r, t, k: precisions(r, t) / min(len(r), len(t)) if r else 0.0,
    "mean_precision": lambda r, t, k: sum(found(r[:i], t) / i for i in range(1, k + 1)) / k,
    "ndcg": lambda r, t, k: dcg([i in t for i in r]) / dcg([1] * min(k, len(t))),
    "ndcg_full_ideal": lambda r, t, k: dcg([i in t for i in r]) / dcg([1] * len(t)),
    "ndcg_over_k": lambda r, t, k: dcg([i in t for i in r]) / dcg([1] * k),
    "ndcg_first_two_equal": lambda r, t, k: (
        dcg_first_two_equal([i in t for i in r]) / dcg_first_two_equal([1] * min(k, len(t)))
    ),
    "ndcg_graded": lambda r, t, k: graded(r, t, k, lambda value: 2**value - 1),
    "ndcg_graded_linear": lambda r, t, k: graded(r, t, k, lambda value: value),
}


def r_precision(scores, seen, targets):
    return found(ranked_list(scores, seen, len(targets)), targets) / len(targets)


def user_auc(scores, seen, targets):
    others = [i for i in range(len(scores)) if i not in seen and i not in targets]
    if not others:
        return nan
    wins = sum(
        0
        if mine in seen
        else (scores[mine] > scores[other]) + 0.5 * (scores[mine] == scores[other])
        for mine in targets
        for other in others
    )
    return wins / (len(targets) * len(others))


def tied(scores, seen, k):
    order = sorted((s for i, s in enumerate(scores) if i not in seen), reverse=True)
    constant = len(order) > 1 and order[0] == order[-1]
    return 1.0 if constant or (len(order) > k and order[k - 1] == order[k]) else 0.0


def coverage(lists, n_items):
    return len({item for ranked in lists for item in ranked}) / n_items


def gini(lists, n_items):
    """Half the mean absolute difference over the mean."""
    shown = [sum(item in ranked for ranked in lists) for item in range(n_items)]
    mean = sum(shown) / n_items
    apart = sum(abs(a - b) for a in shown for b in shown) / n_items**2
    return apart / (2 * mean) if mean else nan


def mean_over(ranked, value):
    return sum(value[item] for item in ranked) / len(ranked) if ranked else nan


def diversity(ranked, kinds):
    sets = [kinds[item] for item in ranked if kinds[item]]
    pairs = [(a, b) for i, a in enumerate(sets) for b in sets[i + 1 :]]
    return sum(1 - len(a & b) / len(a | b) for a, b in pairs) / len(pairs) if pairs else nan


def calibration(ranked, had, kinds):
    def mix(items):
        known = [kinds[item] for item in items if kinds[item]]
        return {
            name: sum((name in own) / len(own) for own in known) / len(known)
            for name in set().union(*known)
        }

    taste, shown = mix(had), mix(ranked)
    if not taste or not shown:
        return nan
    return sum(p * log(p / (0.99 * shown.get(name, 0) + 0.01 * p)) for name, p in taste.items())
