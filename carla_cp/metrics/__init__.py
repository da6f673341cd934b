"""Pure functions over the records of an episode, and over many episodes. They see truth; the planner never does.

What is undefined is None. `summarise` (summary.py) puts all of an episode's into `EpisodeSummary`, `comparison` those
of many into rows. Each function's docstring has its definition, constant and source:

key of summary.json                   where             after
------------------------------------  ----------------  -------------------------------------------------------
collisions, .impact_mps, .at_fault    collisions.py     CARLA Leaderboard, CollisionTest: 5 s, 5 m, 0.1 m/s
min_ttc_s, min_gap_m                  approach.py       Hayward 1972, boxes in the plane
conflict.min_ttc_leader_s             approach.py       gap over closing speed; SSAM's 30 degrees
conflict.tet_s, .tit_s2               approach.py       Minderhoud and Bovy 2001, below 1.5 s
conflict.max_drac_mps2                approach.py       Archer 2005
conflict.pet_s                        encroachment.py   Allen et al. 1978, of those who cross
max_brake_mps2, false_braking_s       braking.py        hard: 3.4 m/s^2 (AASHTO); cause: ours
comfort                               comfort.py        nuPlan's six bounds in Bench2Drive's pieces of 2 s
time_to_awareness_s                   awareness.py      ours: first confirmed track on the hazard, 3 m
age_of_information_s                  awareness.py      Kaul et al. 2012
age_of_targets_s                      awareness.py      ours, after R-ACP
infractions                           infractions.py    CARLA Leaderboard, without stop signs
route_completion, driving_score       leaderboard.py    CARLA Leaderboard 1.0, 2.0, 2.1
success; sct, normalised_gain         success.py        Bench2Drive; Coopernaut; between `none` and `oracle`
ap, ap_by_class                       detection.py      OpenCOOD's average precision
messages, bytes, link                 communication.py  lengths of payloads; losses by the cause of the first packet
*_ci95                                intervals.py      Wilson 1927 of rates, bootstrap of means
mcnemar_collisions                    pairs.py          McNemar 1947, exact, paired by situation and seed
"""
