"""Scripts for Vivado: the shell as an IP, and a Zynq's processor with it.

What they name of the shell are its ports; what they name of Vivado is in its user guides UG1118
(packaging), UG994 (block designs) and PG021 (AXI DMA).
"""

from hw.shell.axi_lite import axi_lite_members

VENDOR, LIBRARY, VERSION = "skipstone", "shell", "1.0"

BUSES = {
    "s_axil": ("aximm", [f"s_axil_{name}" for name in axi_lite_members()]),
    "s_axis": ("axis", [f"s_axis_{name}" for name in ("tdata", "tlast", "tvalid", "tready")]),
    "m_axis": ("axis", [f"m_axis_{name}" for name in ("tdata", "tlast", "tvalid", "tready")]),
}
"""Vivado's name of the bus and the ports that belong to it, by their prefix."""

_PACKAGE = """\
# Packages the shell as an IP in the folder ip/ beside this file:
#     vivado -mode batch -source vivado/package_ip.tcl
set here [file dirname [file normalize [info script]]]
create_project -in_memory -name {top}
add_files [glob $here/../rtl/*.v]
set_property top {top} [current_fileset]
ipx::package_project -root_dir $here/ip -vendor {vendor} -library {library} \\
    -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name {top} $core
set_property version {version} $core
set_property display_name "Skipstone sparse accelerator" $core

# Its buses, unless Vivado has found them by their names.
proc infer {{core bus kind ports}} {{
    if {{[llength [ipx::get_bus_interfaces -quiet $bus -of_objects $core]] == 0}} {{
        ipx::infer_bus_interface $ports $kind $core
    }}
}}
{buses}
infer $core clk xilinx.com:signal:clock_rtl:1.0 clk
infer $core rst xilinx.com:signal:reset_rtl:1.0 rst
set reset [ipx::get_bus_interfaces rst -of_objects $core]
set polarity [ipx::get_bus_parameters -quiet POLARITY -of_objects $reset]
if {{[llength $polarity] == 0}} {{
    set polarity [ipx::add_bus_parameter POLARITY $reset]
}}
set_property value ACTIVE_HIGH $polarity
foreach bus {{{names}}} {{
    ipx::associate_bus_interfaces -busif $bus -clock clk $core
}}
ipx::associate_bus_interfaces -clock clk -reset rst $core

ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
"""

_ZYNQ = """\
# A block design: a Zynq-7000's processor, an AXI DMA and the shell, which package_ip.tcl packaged:
#     vivado -mode batch -source vivado/zynq.tcl -tclargs xc7z020clg400-1
set here [file dirname [file normalize [info script]]]
set part [expr {{$argc > 0 ? [lindex $argv 0] : "xc7z020clg400-1"}}]
create_project zynq $here/zynq -part $part -force
set_property ip_repo_paths $here/ip [current_project]
update_ip_catalog
create_bd_design zynq

# The processor, one clock and a reset for all.
create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 ps
set_property -dict {{CONFIG.PCW_USE_S_AXI_HP0 1 CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ 50}} \\
    [get_bd_cells ps]
make_bd_intf_pins_external [get_bd_intf_pins ps/DDR] [get_bd_intf_pins ps/FIXED_IO]
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]

# The shell, and a DMA for its two streams.
create_bd_cell -type ip -vlnv {vendor}:{library}:{top}:{version} skipstone
create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma:7.1 dma
set_property -dict {{CONFIG.c_include_sg 0 CONFIG.c_sg_length_width 26}} [get_bd_cells dma]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXIS_MM2S] [get_bd_intf_pins skipstone/s_axis]
connect_bd_intf_net [get_bd_intf_pins skipstone/m_axis] [get_bd_intf_pins dma/S_AXIS_S2MM]

# Registers of both, from the processor; memory, for the DMA.
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 control
set_property -dict {{CONFIG.NUM_SI 1 CONFIG.NUM_MI 2}} [get_bd_cells control]
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_GP0] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins skipstone/s_axil]
connect_bd_intf_net [get_bd_intf_pins control/M01_AXI] [get_bd_intf_pins dma/S_AXI_LITE]
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 memory
set_property -dict {{CONFIG.NUM_SI 2 CONFIG.NUM_MI 1}} [get_bd_cells memory]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXI_MM2S] [get_bd_intf_pins memory/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXI_S2MM] [get_bd_intf_pins memory/S01_AXI]
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0]

# The shell's reset is high when it resets, that of the others is low.
foreach pin {{ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK reset/slowest_sync_clk control/aclk memory/aclk
        dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk skipstone/clk}} {{
    connect_bd_net [get_bd_pins ps/FCLK_CLK0] [get_bd_pins $pin]
}}
foreach pin {{control/aresetn memory/aresetn dma/axi_resetn}} {{
    connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}}
connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins skipstone/rst]

assign_bd_address
validate_bd_design
save_bd_design
make_wrapper -files [get_files zynq.bd] -top -import
"""


def vivado_files(top: str) -> dict[str, str]:
    """Texts of the scripts, by path."""
    buses = "\n".join(
        f"infer $core {bus} xilinx.com:interface:{kind}_rtl:1.0 {{\n    {_wrapped(ports)}\n}}"
        for bus, (kind, ports) in BUSES.items()
    )
    names = {"vendor": VENDOR, "library": LIBRARY, "version": VERSION, "top": top}
    return {
        "vivado/package_ip.tcl": _PACKAGE.format(**names, buses=buses, names=" ".join(BUSES)),
        "vivado/zynq.tcl": _ZYNQ.format(**names),
    }


def _wrapped(ports: list[str], each: int = 5) -> str:
    lines = (ports[start : start + each] for start in range(0, len(ports), each))
    return "\n    ".join(" ".join(line) for line in lines)
