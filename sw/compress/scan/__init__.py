"""How much each layer can lose: each pruned by itself, to several densities, and measured."""

from sw.compress.scan.measure import Accuracy as Accuracy
from sw.compress.scan.points import Point as Point
from sw.compress.scan.points import Scan as Scan
from sw.compress.scan.points import read as read
from sw.compress.scan.propose import Proposal as Proposal
from sw.compress.scan.propose import propose as propose
from sw.compress.scan.run import DENSITIES as DENSITIES
from sw.compress.scan.run import scan as scan
