"""The staged rollout of a plan: a state machine of plan, rings and tasks (design.md 4.7).

    draft --Propose--> proposed --Approve (n people, not an author)--> approved --Start--> running
    running --Pause--> paused --Resume--> running
    running --signal--> halted --Acknowledge--> running
    running --every task is over--> completed | completed_with_failures
    proposed, approved --deadline--> expired
    proposed, approved --Reject--> rejected
    any open one --Cancel--> cancelled

`advance` is the whole of it. It reads no clock and touches nothing: time arrives inside events, and
what must happen in the world leaves as effects. `states` names the states, `model` is what is
known, `events` is what can happen, `gates` judges a ring, `machine` moves.
"""
