"""Recurrent cells step by step, and back-propagation through time: plain, GRU in three forms, LSTM with peepholes.

Beside the usual letters: T time steps, n units. A gate's weights W (n, n + n_in) act on [a, x]: the activations of the
step before and the inputs of this one, end to end. P holds the parameters by name, "W_f" and "b_f" of the forget gate,
for example. A step takes x (B, n_in), a state (arrays (B, n), the activations first) and P, and gives the new state and
what its backward needs. Source: Goodfellow et al. 2016, sections 10.2 and 10.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gnomon.reference import Array
from gnomon.reference.activations import sigmoid

Parameters = Mapping[str, Array]
State = tuple[Array, ...]
Step = Callable[[Array, State, Parameters], tuple[State, Any]]
StepBackward = Callable[[State, Any, Parameters], tuple[Array, State, dict[str, Array]]]


def unroll(step: Step, X: Array, state: State, P: Parameters) -> tuple[Array, State, list[Any]]:
    """X (B, T, n_in) -> A (B, T, n), the last state, and what `unroll_backward` needs of each step."""
    activations, caches = [], []
    for t in range(X.shape[1]):
        state, cache = step(X[:, t], state, P)
        activations.append(state[0])
        caches.append(cache)
    return np.stack(activations, axis=1), state, caches


def unroll_backward(
    step_backward: StepBackward, dA: Array, dstate: State, caches: list[Any], P: Parameters
) -> tuple[Array, State, dict[str, Array]]:
    """Back-propagation through time: every step adds to the gradient of the parameters that all steps share.

    dA (B, T, n), and dstate of the last state. Returns dX (B, T, n_in), the gradient of the first state, dP.
    """
    dX, dP = [], {name: np.zeros_like(value) for name, value in P.items()}
    for t in reversed(range(len(caches))):
        dstate = (dstate[0] + dA[:, t], *dstate[1:])
        dx, dstate, each = step_backward(dstate, caches[t], P)
        dX.append(dx)
        for name, value in each.items():
            dP[name] += value
    return np.stack(dX[::-1], axis=1), dstate, dP


def rnn_step(x: Array, state: State, P: Parameters) -> tuple[State, Any]:
    """a' = tanh(W_a [a, x] + b_a)."""
    (a,) = state
    both = np.concatenate([a, x], axis=1)
    new = np.tanh(both @ P["W_a"].T + P["b_a"])
    return (new,), (both, new)


def rnn_step_backward(dstate: State, cache: Any, P: Parameters) -> tuple[Array, State, dict[str, Array]]:
    both, new = cache
    dboth, dP = _gate_backward("a", dstate[0] * (1 - new**2), both, P)
    da, dx = np.split(dboth, [new.shape[1]], axis=1)
    return dx, (da,), dP


def gru_step(x: Array, state: State, P: Parameters) -> tuple[State, Any]:
    """The lectures' form: the update gate admits what is new.

    r = sigmoid(W_r [a, x] + b_r), u = sigmoid(W_u [a, x] + b_u), n = tanh(W_n [r * a, x] + b_n),
    a' = u * n + (1 - u) * a. The lectures call r relevance and write c for a, which are one in a GRU.
    """
    (a,) = state
    both = np.concatenate([a, x], axis=1)
    r, u = (sigmoid(both @ P[f"W_{gate}"].T + P[f"b_{gate}"]) for gate in "ru")
    reset = np.concatenate([r * a, x], axis=1)
    n = np.tanh(reset @ P["W_n"].T + P["b_n"])
    return (u * n + (1 - u) * a,), (a, both, r, u, reset, n)


def gru_step_backward(dstate: State, cache: Any, P: Parameters) -> tuple[Array, State, dict[str, Array]]:
    a, both, r, u, reset, n = cache
    d = dstate[0]
    dreset, dP = _gate_backward("n", d * u * (1 - n**2), reset, P)
    d_reset_a, dx = np.split(dreset, [a.shape[1]], axis=1)
    du_both, dPu = _gate_backward("u", d * (n - a) * u * (1 - u), both, P)
    dr_both, dPr = _gate_backward("r", d_reset_a * a * r * (1 - r), both, P)
    da_gates, dx_gates = np.split(du_both + dr_both, [a.shape[1]], axis=1)
    return dx + dx_gates, (d * (1 - u) + d_reset_a * r + da_gates,), {**dP, **dPu, **dPr}


def gru_cho_step(x: Array, state: State, P: Parameters) -> tuple[State, Any]:
    """Cho's form: the update gate z keeps what is old, a' = z * a + (1 - z) * n.

    The lectures' form with u = 1 - z, since 1 - sigmoid(s) = sigmoid(-s): the same function, with W_u and b_u negated.
    Source: Cho et al. 2014, equations 5 to 8, which have no biases.
    """
    return gru_step(x, state, _lectures(P))


def gru_cho_step_backward(dstate: State, cache: Any, P: Parameters) -> tuple[Array, State, dict[str, Array]]:
    dx, dprevious, dP = gru_step_backward(dstate, cache, _lectures(P))
    return dx, dprevious, _lectures(dP)


def _lectures(P: Parameters) -> dict[str, Array]:
    return {name: -value if name in ("W_u", "b_u") else value for name, value in P.items()}


def gru_torch_step(x: Array, state: State, P: Parameters) -> tuple[State, Any]:
    """The form of torch and cuDNN: Cho's gates, but the reset gate acts after the product, not before.

    n = tanh(V_n x + b_n + r * (U_n a + c_n)), where W_n = [U_n, V_n], a' = z * a + (1 - z) * n. Another function than
    Cho's: no choice of weights makes the two equal for all inputs. One product serves all gates, so it is faster.
    """
    (a,) = state
    both = np.concatenate([a, x], axis=1)
    r, z = (sigmoid(both @ P[f"W_{gate}"].T + P[f"b_{gate}"]) for gate in "ru")
    U, V = np.split(P["W_n"], [a.shape[1]], axis=1)
    recurrent = a @ U.T + P["c_n"]
    n = np.tanh(x @ V.T + P["b_n"] + r * recurrent)
    return (z * a + (1 - z) * n,), (a, x, both, r, z, recurrent, n)


def gru_torch_step_backward(dstate: State, cache: Any, P: Parameters) -> tuple[Array, State, dict[str, Array]]:
    a, x, both, r, z, recurrent, n = cache
    U, V = np.split(P["W_n"], [a.shape[1]], axis=1)
    d = dstate[0]
    dn = d * (1 - z) * (1 - n**2)
    drecurrent = dn * r
    dz_both, dPz = _gate_backward("u", d * (a - n) * z * (1 - z), both, P)
    dr_both, dPr = _gate_backward("r", dn * recurrent * r * (1 - r), both, P)
    da_gates, dx_gates = np.split(dz_both + dr_both, [a.shape[1]], axis=1)
    dW = np.concatenate([drecurrent.T @ a, dn.T @ x], axis=1)
    dP = {"W_n": dW, "b_n": dn.sum(axis=0), "c_n": drecurrent.sum(axis=0), **dPz, **dPr}
    return dn @ V + dx_gates, (d * z + drecurrent @ U + da_gates,), dP


def lstm_step(x: Array, state: State, P: Parameters) -> tuple[State, Any]:
    """Three gates: u admits, f keeps, o shows; with p_u, p_f, p_o (n,) in P they also look at the memory cell c.

    n = tanh(W_n [a, x] + b_n), u = sigmoid(W_u [a, x] + b_u + p_u * c), f likewise, c' = u * n + f * c,
    o = sigmoid(W_o [a, x] + b_o + p_o * c'), a' = o * tanh(c'). A peephole sees one cell, its own.
    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (f), 2002 (peepholes: the output gate sees the new cell;
    in the lectures' picture it sees the old one, as the others do).
    """
    a, c = state
    both, peep = np.concatenate([a, x], axis=1), {gate: P.get(f"p_{gate}", 0.0) for gate in "ufo"}
    u, f = (sigmoid(both @ P[f"W_{gate}"].T + P[f"b_{gate}"] + peep[gate] * c) for gate in "uf")
    n = np.tanh(both @ P["W_n"].T + P["b_n"])
    new = u * n + f * c
    o = sigmoid(both @ P["W_o"].T + P["b_o"] + peep["o"] * new)
    return (o * np.tanh(new), new), (c, both, u, f, n, new, o)


def lstm_step_backward(dstate: State, cache: Any, P: Parameters) -> tuple[Array, State, dict[str, Array]]:
    c, both, u, f, n, new, o = cache
    da, dnew = dstate
    shown = np.tanh(new)
    so = da * shown * o * (1 - o)  # the gradient of what goes into the output gate's sigmoid
    dnew = dnew + da * o * (1 - shown**2) + so * P.get("p_o", 0.0)
    su, sf = dnew * n * u * (1 - u), dnew * c * f * (1 - f)
    dc = dnew * f + su * P.get("p_u", 0.0) + sf * P.get("p_f", 0.0)
    dboth, dP = np.zeros_like(both), dict[str, Array]()
    for gate, s in (("u", su), ("f", sf), ("o", so), ("n", dnew * u * (1 - n**2))):
        one, each = _gate_backward(gate, s, both, P)
        dboth, dP = dboth + one, {**dP, **each}
    for gate, s, cell in (("u", su, c), ("f", sf, c), ("o", so, new)):
        if f"p_{gate}" in P:
            dP[f"p_{gate}"] = (s * cell).sum(axis=0)
    previous, dx = np.split(dboth, [c.shape[1]], axis=1)
    return dx, (previous, dc), dP


def _gate_backward(gate: str, ds: Array, both: Array, P: Parameters) -> tuple[Array, dict[str, Array]]:
    """Of s = W [a, x] + b, from ds: the gradient of [a, x], and those of W and b."""
    return ds @ P[f"W_{gate}"], {f"W_{gate}": ds.T @ both, f"b_{gate}": ds.sum(axis=0)}
