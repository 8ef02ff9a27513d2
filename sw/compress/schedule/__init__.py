"""When to prune how much, and what training does meanwhile."""

from sw.compress.schedule.admm import Admm as Admm
from sw.compress.schedule.base import Schedule as Schedule
from sw.compress.schedule.curves import Gradual as Gradual
from sw.compress.schedule.curves import Iterative as Iterative
from sw.compress.schedule.curves import OneShot as OneShot
from sw.compress.schedule.parse import parse as parse
from sw.compress.schedule.sr_ste import SrSte as SrSte
