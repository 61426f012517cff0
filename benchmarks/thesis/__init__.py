"""Experiments of the thesis, with its figures beside ours.

Y. H. Kim, doctoral thesis on hyper-parameter optimisation for AutoML with a Gamma distribution in
Bayesian optimisation, Pukyong National University; also Y. H. Kim and M. Chung, "An Approach to
Hyperparameter Optimization for the Objective Function in Machine Learning", Electronics 8(11),
1267, 2019.
"""
